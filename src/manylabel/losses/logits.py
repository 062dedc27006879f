"""Losses on logits, one per row and label: BCE, Focal, ASL, ZLPR, two-way.

Logits ``x`` are (B, C), labels ``Y`` (B, C); ``p = sigmoid(x)``. Half-precision logits are taken to float32. Unknown
entries take part in no sum and in no divisor. Weights of rows (B,), or of entries (B, C), multiply terms and what these
add to the divisor: a weight of 2 is a row given twice, a weight of 0 a row left out, or an entry unknown. Of very many
labels the logits may be those of some, drawn by :func:`manylabel.losses.draw_labels`, which stand for the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.arrays import as_tensor
from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels import Labels, as_labels
from manylabel.losses.base import FLOATING, refuse_gradient
from manylabel.losses.distributed import Shard
from manylabel.losses.logit_reductions import of_all_ranks, reduce_terms, reduce_weighted
from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.sample_weight import TINY, of_rows, read_weight
from manylabel.losses.settings import REDUCTIONS, check_group, check_reduction, real, switch

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_ABSENT = -1e30  # a logit that takes no part: finite, so that a side without entries keeps a gradient of 0


class LogitLoss(nn.Module, ABC):
    """Settings of a loss on logits; subclasses give its terms.

    Attributes
    ----------
    group : torch.distributed.ProcessGroup or None
        The ranks that hold the batch together, each its own rows, as many as it likes; None for this process alone.
        Each rank returns the loss of the whole batch, whose gradient is that of one process once
        ``DistributedDataParallel`` has taken the mean over ranks.
    """

    reductions: ClassVar[tuple[str, ...]] = (*REDUCTIONS, "rows")
    shown: ClassVar[tuple[str, ...]] = ("reduction",)
    binary: ClassVar[bool] = True  # whether labels are sets
    log_sum_scale: float = 0.0  # of a loss of T log sum_absent exp(x / T), this T; 0 of a sum over labels
    compares_rows: ClassVar[bool] = False

    def __init__(self, reduction: str, group: ProcessGroup | None = None) -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction, self.reductions)
        check_group(type(self).__name__, group)
        self.reduction, self.group = reduction, group

    @abstractmethod
    def terms(self, x: Tensor, y: Tensor, known: Tensor | None = None) -> Tensor:
        """What each row and label costs, (B, C), or each row, (B, 1), from logits and labels (B, C).

        Of terms for each label, those of entries that are not ``known`` (B, C) may hold anything finite.
        """

    def forward(
        self,
        logits: Tensor,
        Y: Labels,
        *,
        sample_weight: Tensor | None = None,
        stands_for: Tensor | None = None,
    ) -> Tensor:
        """The loss of logits (B, C) with labels ``Y`` (B, C).

        ``stands_for`` (C,), at least 1 each, says how many labels each column stands for; those that a row carries
        stand for themselves alone.
        """
        who = type(self).__name__
        with full_precision(logits):
            check_reduction(who, self.reduction, self.reductions)
            x, y, known = read_logits(who, logits, Y, self.binary)
            each = None if stands_for is None else _read_numbers(who, stands_for, x)
            if each is not None and self.log_sum_scale:
                x = x + self.log_sum_scale * each.log()  # so often in a sum of exponentials
            weight = None
            if sample_weight is not None:
                weight = read_weight(who, sample_weight, (len(x), x.shape[1]), x)
            shard = self._shard()
            if shard is not None and self.compares_rows:
                if each is not None:
                    expected = "`stands_for` of one process, as each rank draws labels of its own"
                    raise ManyLabelError(who, expected, "a group", "Give logits of all labels.")
                x, y, known, weight = of_all_ranks(shard, x, y, known, weight)
                shard = None
            if weight is None and each is None:
                return reduce_terms(self.terms(x, y, known), self.reduction, known, shard)
            weight = x.new_ones(len(x), 1) if weight is None else weight
            counts = (weight > 0).expand_as(y) if known is None else known & (weight > 0)
            return self.weighted(x, y * counts, counts, weight, each, shard)

    def _shard(self) -> Shard | None:
        check_group(type(self).__name__, self.group)
        return None if self.group is None else Shard(self.group)

    def weighted(
        self,
        x: Tensor,
        y: Tensor,
        known: Tensor,
        weight: Tensor,
        each: Tensor | None = None,
        shard: Shard | None = None,
    ) -> Tensor:
        """The loss of rows, or of entries, that weigh (B, 1) or (B, C); what weighs 0 is not ``known``.

        Terms of a label count ``each``, (C,), times.
        """
        return reduce_weighted(self.terms(x, y, known), self.reduction, known, weight, each, shard)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class BCE(LogitLoss):
    """Binary cross entropy of every label by itself.

    ::

        L = mean_{i,c} [ softplus(x_ic) - x_ic Y_ic ]

    Parameters
    ----------
    reduction : "mean", "sum", "rows" or "none", default "mean"
        "rows" divides the sum by B alone; "none" gives sums of rows, (B,).
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together; see :class:`LogitLoss`.

    Notes
    -----
    Divisor: the known entries, which are B times C where all are known; of "rows", the rows with a known entry. Soft
    labels are allowed. Logits of 0 give log 2.
    """

    binary = False

    def __init__(self, reduction: str = "mean", group: ProcessGroup | None = None) -> None:
        super().__init__(reduction, group)

    def terms(self, x: Tensor, y: Tensor, known: Tensor | None = None) -> Tensor:
        return F.softplus(x) - x * y


class Focal(LogitLoss):
    """Focal loss: entries that are already right count less.

    ::

        L   = sum over rows and labels of - alpha_c (1 - p_t)^gamma log p_t
        p_t = sigmoid(x) for present labels, sigmoid(-x) for absent ones

    Parameters
    ----------
    gamma : float, default 2
    alpha : (C,) tensor, array or list, optional
        Weights of the labels, none negative; a parameter is learnt.
    reduction : "sum", "mean", "rows" or "none", default "sum"
        "mean" divides by the known entries, "rows" by the rows with one; "none" gives sums of rows, (B,).
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together; see :class:`LogitLoss`.

    Notes
    -----
    Equals :class:`ASL` with ``gamma_pos = gamma_neg = gamma``, ``clip=0``, ``detach_focus=False``.
    """

    shown = ("gamma", "reduction")

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: Any = None,
        reduction: str = "sum",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(reduction, group)
        self.gamma = real("Focal", "gamma", gamma, least=0.0)
        self.alpha: Tensor | None
        weights = _read_alpha(alpha)
        if isinstance(weights, nn.Parameter):
            self.alpha = weights
        else:
            self.register_buffer("alpha", weights)

    def terms(self, x: Tensor, y: Tensor, known: Tensor | None = None) -> Tensor:
        gamma, weights = real("Focal", "gamma", self.gamma, least=0.0), _read_alpha(self.alpha)
        if weights is not None and len(weights) != x.shape[1]:
            expected = f"alpha of shape ({x.shape[1]},), one weight for each label"
            raise ManyLabelError("Focal", expected, str(tuple(weights.shape)), "Pass one weight per column.")
        toward = torch.where(y > 0, x, -x)  # the logit of the right answer
        terms = -_power(torch.sigmoid(-toward), gamma) * F.logsigmoid(toward)
        return terms if weights is None else terms * weights.to(x.device)


class ASL(LogitLoss):
    """Asymmetric loss: present and absent labels each with their own focusing, absent ones with a margin.

    ::

        p = sigmoid(x),   pn = min(1 - p + clip, 1)
        present:  - (1 - p)^gamma_pos  log max(p, eps)
        absent:   - (1 - pn)^gamma_neg log max(pn, eps)

    Parameters
    ----------
    gamma_neg, gamma_pos : float, default 4 and 1
    clip : float, default 0.05
        The margin: absent labels with ``p`` below it cost nothing.
    eps : float, default 1e-8
        Below it a logarithm is cut off, and with it the gradient (of present labels with logits below -18.4).
    detach_focus : bool, default True
        No gradient through the focusing factors.
    log_space : bool, default False
        Take the logarithms from the logits, without ``eps``: no gradient is lost however wrong the logit.
    reduction : "sum", "mean", "rows" or "none", default "sum"
        "mean" divides by the known entries, "rows" by the rows with one; "none" gives sums of rows, (B,).
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together; see :class:`LogitLoss`.

    References
    ----------
    E. Ben-Baruch et al., "Asymmetric Loss for Multi-Label Classification", ICCV 2021. The released code
    switches gradients off globally for the focusing factor; here the factor alone is detached.
    """

    shown = ("gamma_neg", "gamma_pos", "clip", "eps", "detach_focus", "log_space", "reduction")

    def __init__(
        self,
        gamma_neg: float = 4.0,
        gamma_pos: float = 1.0,
        clip: float = 0.05,
        eps: float = 1e-8,
        detach_focus: bool = True,
        log_space: bool = False,
        reduction: str = "sum",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(reduction, group)
        check_focus("ASL", gamma_neg, gamma_pos, clip, eps)
        self.gamma_neg, self.gamma_pos, self.clip, self.eps = gamma_neg, gamma_pos, clip, eps
        self.detach_focus = switch("ASL", "detach_focus", detach_focus)
        self.log_space = switch("ASL", "log_space", log_space)

    def terms(self, x: Tensor, y: Tensor, known: Tensor | None = None) -> Tensor:
        focus = (self.gamma_neg, self.gamma_pos, self.clip, self.eps)
        check_focus("ASL", *focus)
        return asymmetric_terms(x, y, *focus, self.detach_focus, self.log_space)


class ZLPR(LogitLoss):
    """Zero-bounded log-sum-exp and pairwise rank loss.

    ::

        L_i = log(1 + sum_{c in y_i} exp(-x_ic)) + log(1 + sum_{c not in y_i} exp(x_ic))

    Parameters
    ----------
    reduction : "mean", "sum" or "none", default "mean"
        "none" gives ``L_i``, (B,).
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together; see :class:`LogitLoss`.

    Notes
    -----
    Divisor: the rows with a known entry, as a rule all B; weights of entries count as weights of rows, their means over
    known labels. A row without labels, or with all of them, has log 1 = 0 for
    the side that is missing. The threshold of a decision is logit 0. The code released with the study of Audibert et
    al. returns a lower number (it leaves out the maxima it subtracts) with the same gradient; this is the value of the
    equation.
    """

    reductions = REDUCTIONS
    log_sum_scale = 1.0

    def __init__(self, reduction: str = "mean", group: ProcessGroup | None = None) -> None:
        super().__init__(reduction, group)

    def terms(self, x: Tensor, y: Tensor, known: Tensor | None = None) -> Tensor:
        absent, present = _outside(y, known)
        positive, negative = x.masked_fill(absent, -_ABSENT).neg(), x.masked_fill(present, _ABSENT)
        # the 0 put beside them is the 1 in the logarithms
        sides = (F.pad(side, (0, 1)).logsumexp(1, keepdim=True) for side in (positive, negative))
        return sum(sides, torch.zeros_like(x[:, :1]))  # (B, 1)


class TwoWay(LogitLoss):
    """Two-way loss: present labels above absent ones, within each row and within each label.

    ::

        g+ = Tp logsumexp_{present}(-x / Tp),   g- = Tn logsumexp_{absent}(x / Tn)
        L  = mean of softplus(g+ + g-) over rows that have a label  +  the same over labels that a row has

    Parameters
    ----------
    positive_temperature, negative_temperature : float, default 4 and 1
        ``Tp`` and ``Tn``.
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together, which then exchange logits and labels; see :class:`LogitLoss`.

    Notes
    -----
    Divisors: the rows with a label, and the labels with a row. A side without (known) entries gives 0. There is no
    value per row, hence no ``reduction``. Weights of entries count as weights of rows, their means over known labels.

    References
    ----------
    T. Kobayashi, "Two-Way Multi-Label Loss", CVPR 2023.
    """

    shown = ("positive_temperature", "negative_temperature")
    compares_rows = True

    def __init__(
        self,
        positive_temperature: float = 4.0,
        negative_temperature: float = 1.0,
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__("sum", group)
        self.positive_temperature, self.negative_temperature = positive_temperature, negative_temperature
        self._read_temperatures()

    def _read_temperatures(self) -> tuple[float, float]:
        names = ("positive_temperature", "negative_temperature")
        first, second = (real("TwoWay", name, getattr(self, name), least=0.0, above=True) for name in names)
        return first, second

    @property
    def log_sum_scale(self) -> float:  # type: ignore[override]
        """The temperature of absent labels."""
        return self.negative_temperature

    def terms(self, x: Tensor, y: Tensor, known: Tensor | None = None) -> Tensor:
        temperatures, of_labels = self._read_temperatures(), None if known is None else known.T
        return _one_way(x, y, known, *temperatures) + _one_way(x.T, y.T, of_labels, *temperatures)

    def weighted(
        self,
        x: Tensor,
        y: Tensor,
        known: Tensor,
        weight: Tensor,
        each: Tensor | None = None,
        shard: Shard | None = None,
    ) -> Tensor:
        temperatures, rows = self._read_temperatures(), of_rows(weight, known, each)  # (B, 1)
        share = rows.where(rows > 0, 1).log().T  # within a label, a weight of 2 is a second summand
        within_rows = _one_way(x, y, known, *temperatures, weight=rows[:, 0])
        return within_rows + _one_way(x.T, y.T, known.T, *temperatures, share=share)


def asymmetric_terms(
    x: Tensor,
    y: Tensor,
    gamma_neg: float,
    gamma_pos: float,
    clip: float,
    eps: float,
    detach_focus: bool = True,
    log_space: bool = False,
) -> Tensor:
    """What each row and label costs in the asymmetric loss, (B, C); see :class:`ASL`."""
    p, absent = torch.sigmoid(x), torch.sigmoid(-x)
    shifted = (absent + clip).clamp(max=1.0)  # probability of "absent", easier by the margin
    if log_space:
        log_present, log_absent = F.logsigmoid(x), shifted.log() if clip > 0 else F.logsigmoid(-x)
    else:
        log_present, log_absent = p.clamp(min=eps).log(), shifted.clamp(min=eps).log()
    present, rejected = absent, 1.0 - shifted if clip > 0 else p
    if detach_focus:
        present, rejected = present.detach(), rejected.detach()
    positive = y * _power(present, gamma_pos) * log_present
    negative = (1.0 - y) * _power(rejected, gamma_neg) * log_absent
    return -(positive + negative)


def _outside(y: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """Entries that are no known positives, and those that are no known negatives, (B, C) bool."""
    absent, present = y == 0, y > 0
    return (absent, present) if known is None else (absent, present | ~known)


def _one_way(
    x: Tensor,
    y: Tensor,
    known: Tensor | None,
    positive_temperature: float,
    negative_temperature: float,
    weight: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """``mean softplus(g+ + g-)`` over the sets (rows) that have a positive.

    Sets weigh ``weight``, (B,); ``share`` are logarithms of what the entries of each set weigh, (1, C).
    """
    absent, present = _outside(y, known)
    positive, negative = -x / positive_temperature, x / negative_temperature
    if share is not None:
        positive, negative = positive + share, negative + share
    positive = positive_temperature * positive.masked_fill(absent, _ABSENT).logsumexp(1)
    negative = negative_temperature * negative.masked_fill(present, _ABSENT).logsumexp(1)
    counted = (y > 0).any(1)
    margin = torch.where(counted, positive + negative, 0)
    counted = counted if weight is None else counted * weight
    return (F.softplus(margin) * counted).sum() / counted.sum().clamp(min=1 if weight is None else TINY)


def read_logits(
    who: str,
    logits: Tensor,
    Y: Labels,
    binary: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits and dense labels in working precision, and which of these are known (None: all are)."""
    right = isinstance(logits, Tensor) and logits.dim() == 2 and logits.dtype in FLOATING
    if not right or logits.layout != torch.strided or logits.device.type == "meta":
        got = type(logits).__name__
        if isinstance(logits, Tensor):
            got = f"{logits.dtype} of shape {tuple(logits.shape)}, {logits.layout} on {logits.device}"
        raise ManyLabelError(
            who, "logits as a floating tensor of shape (n, n_labels)", got, "One row per sample."
        )
    labels = as_labels(Y, binary=binary, who=who)
    if labels.shape != tuple(logits.shape):
        raise ManyLabelError(
            who,
            f"labels of shape {tuple(logits.shape)} to match the logits",
            str(labels.shape),
            "Pass one per logit.",
        )
    if binary:
        refuse_gradient(who, labels)
    dtype = working_dtype(logits)
    labels = labels.to(logits.device)
    return logits.to(dtype), labels.dense(dtype), labels.known()


def _read_numbers(who: str, stands_for: Any, x: Tensor) -> Tensor:
    """How many labels each column of logits (B, C) stands for, (C,) in their type."""
    each = as_tensor(stands_for, who, "stands_for")
    if each.shape != x.shape[1:]:
        expected = f"`stands_for` of shape ({x.shape[1]},), one number for each column"
        raise ManyLabelError(who, expected, f"shape {tuple(each.shape)}", "Take what draw_labels gives.")
    if not torch.compiler.is_compiling() and not transformed() and not bool((each >= 1).all()):
        got = f"{float(each.min()):g}"
        raise ManyLabelError(who, "`stands_for` of at least 1", got, "Take what draw_labels gives.")
    return each.to(x)


def check_focus(who: str, gamma_neg: Any, gamma_pos: Any, clip: Any, eps: Any = 1e-8) -> None:
    """Refuse settings of the asymmetric loss outside the range in which its equation means something."""
    real(who, "gamma_neg", gamma_neg, least=0.0)
    real(who, "gamma_pos", gamma_pos, least=0.0)
    real(who, "clip", clip, least=0.0, most=1.0, below=True, hint="It is a margin between probabilities.")
    real(who, "eps", eps, least=0.0, most=1.0, above=True, below=True)


def _read_alpha(alpha: Any) -> Tensor | None:
    """Weights of the labels as a floating (C,) tensor."""
    if alpha is None:
        return None
    weights = as_tensor(alpha, "Focal", "alpha")
    if weights.dim() != 1:
        hint = "For one weight for all labels, multiply the loss by it."
        got = f"shape {tuple(weights.shape)}"
        raise ManyLabelError("Focal", "alpha as one weight for each label, of shape (n_labels,)", got, hint)
    if weights.numel() and not torch.compiler.is_compiling() and not transformed():
        low, high = (float(bound) for bound in weights.detach().float().aminmax())
        if not (low >= 0 and high < torch.inf):
            raise ManyLabelError("Focal", "alpha of finite weights of at least 0", f"{low:g} to {high:g}")
    return weights if weights.is_floating_point() else weights.float()


def _power(base: Tensor, exponent: float) -> Tensor | float:
    """``base ** exponent`` for a base in [0, 1], with a finite slope at 0."""
    if exponent == 0:
        return 1.0
    if exponent == 1:
        return base
    return (base.clamp(min=1e-12) if exponent < 1 else base) ** exponent
