"""KMCL: every label of a sample is a Gaussian; asymmetric loss, reconstruction and kernel contrastive term.

Per sample i and label k there are a logit ``x_ik``, a mean ``mu_ik`` and a variance ``v_ik``. Isotropic mixtures
hold one number for all D dimensions of the feature, (B, C); anisotropic ones hold one per dimension, (B, D, C).
The equations are in the docstrings of the methods below; ``sd = sqrt(v) + 1.49e-8`` as in the released code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels import LabelMatrix, Labels, as_labels
from manylabel.losses.base import Loss, LossResult, check_embeddings, read_labels, reduce
from manylabel.losses.distributed import Shard
from manylabel.losses.kmcl.contrastive import PairKernel, kernel_pairs_dense, kernel_pairs_streamed
from manylabel.losses.kmcl.reconstruction import anisotropic_distances, isotropic_distances
from manylabel.losses.logits import asymmetric_terms, check_focus, read_logits
from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.sample_weight import anchor_weight, read_weight
from manylabel.losses.settings import check_group, check_reduction, choice, read_temperature, whole
from manylabel.losses.softmax import choose_backend

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

SD_EPS = 1.49e-8  # what the authors add to a standard deviation
SIMILARITIES = ("bc", "mks", "rbf")
SCALES = ("released", "bhattacharyya")


class KernelTerms(NamedTuple):
    """The three parts of KMCL: scalars, or (B,) tensors with ``reduction="none"``."""

    asl: Tensor
    reconstruction: Tensor
    contrastive: Tensor


class KMCL(Loss):
    """KMCL: asymmetric loss, reconstruction and kernel contrastive term, plainly summed.

    ::

        L = sum_ik ASL(x_ik, Y_ik) + (1/M) sum_i R_i + (1/B) sum_i L_i

    with ``R_i`` of :meth:`reconstruction` and ``L_i`` of :meth:`contrastive`. Called with features
    (B, D), logits (B, C), means, variances and labels; means are (B, C) for isotropic mixtures, where the mean
    vector of a label is one number in all D dimensions, or (B, D, C), also flat (B, D * C), for anisotropic ones.

    Parameters
    ----------
    similarity : "bc", "mks" or "rbf", default "bc"
        What the variances belong to: with "bc" to a row and label, in the shape of the means; with "mks" to a row
        and dimension, (B, D), for anisotropic means; with "rbf" to a row, (B, 1), for isotropic means.
    scale : "released" or "bhattacharyya", default "released"
        For anisotropic means: the distance multiplied by D as in the released code, or the Bhattacharyya distance.
    temperature : float, default 0.17
    gamma_neg, gamma_pos, clip : float, default 4, 0 and 0.05
        Of the asymmetric loss, with ``eps=1e-7`` and no gradient through the focusing factors.
    reduction : "mean", "sum" or "none", default "mean"
        Of each term with its own divisor; "none" gives ``sum_k ASL + R_i + L_i``, (B,).
    engine : "auto", "dense" or "streamed", default "auto"
        Of the contrastive term, and of the reconstruction of anisotropic mixtures; ``backend`` tells the former.
        "flash" is "streamed" here.
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together, as for every :class:`~manylabel.losses.base.Loss`.

    Notes
    -----
    Divisors: none for the asymmetric loss, which is a sum; the M rows with labels for the reconstruction; the B
    rows for the contrastive term. ``divisor`` is the tuple of all three, for the rows of :meth:`terms`. Kernels of
    unknown entries take part in nothing. A row without labels adds to the asymmetric loss only, and is still one of the
    samples in ``S_ik``; a row without a partner has ``L_i = 0``. Kernels that are alike for all pairs give ``log(B -
    1)`` for each shared label, besides the Jaccard overlaps. ``sample_weight`` multiplies the terms of label entries in
    the asymmetric loss, and rows elsewhere, as for every :class:`~manylabel.losses.base.PairLoss`.

    References
    ----------
    A. Sajedi, S. Khaki, K. N. Plataniotis, M. S. Hosseini, "End-to-End Supervised Multilabel Contrastive
    Learning", arXiv 2307.03967, 2023. Their code counts 16.1 for the reconstruction of a row without labels.

    Examples
    --------
    >>> import torch
    >>> loss = KMCL()
    >>> features, logits, means = torch.randn(8, 16), torch.randn(8, 5), torch.randn(8, 5)
    >>> loss(features, logits, means, torch.full((8, 5), 1.5), torch.rand(8, 5) < 0.4).shape
    torch.Size([])
    """

    shown: ClassVar[tuple[str, ...]] = (
        "similarity",
        "scale",
        "temperature",
        "gamma_neg",
        "gamma_pos",
        "clip",
        "reduction",
    )

    def __init__(
        self,
        similarity: str = "bc",
        scale: str = "released",
        temperature: float | Tensor = 0.17,
        gamma_neg: float = 4.0,
        gamma_pos: float = 0.0,
        clip: float = 0.05,
        reduction: str = "mean",
        engine: str = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(temperature, reduction, engine=engine, group=group)
        who = type(self).__name__
        choice(who, "similarity", similarity, SIMILARITIES)
        choice(who, "scale", scale, SCALES)
        check_focus(who, gamma_neg, gamma_pos, clip)
        self.similarity, self.scale = similarity, scale
        self.gamma_neg, self.gamma_pos, self.clip = gamma_neg, gamma_pos, clip

    def forward(
        self,
        features: Tensor,
        logits: Tensor,
        means: Tensor,
        variances: Tensor,
        Y: Labels,
        *,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """The loss of features (B, D), logits (B, C), means and variances, and labels ``Y`` (B, C)."""
        focus, fit, contrast = self.terms(features, logits, means, variances, Y, sample_weight=sample_weight)
        return focus + fit + contrast

    def terms(
        self,
        features: Tensor,
        logits: Tensor,
        means: Tensor,
        variances: Tensor,
        Y: Labels,
        *,
        sample_weight: Tensor | None = None,
    ) -> KernelTerms:
        """The three parts of the loss; arguments as in :meth:`forward`."""
        with full_precision(features):
            features, labels = _read(features, logits, Y)
            check_reduction("KMCL", self.reduction)
            check_group("KMCL", self.group)
            weight = {"sample_weight": sample_weight}
            focus = self._focus(logits, labels, sample_weight)
            fit = self.reconstruction(features, logits, means, variances, labels, **weight)
            contrast = self.contrastive(means, variances, labels, n_features=features.shape[1], **weight)
            divisor = None
            if isinstance(fit.divisor, Tensor) and isinstance(contrast.divisor, Tensor):
                divisor = KernelTerms(torch.ones_like(fit.divisor), fit.divisor, contrast.divisor)
            self._kept(LossResult(contrast.value, divisor, contrast.backend))
            return KernelTerms(focus, fit.value, contrast.value)

    def _focus(self, logits: Tensor, labels: LabelMatrix, sample_weight: Tensor | None) -> Tensor:
        """The asymmetric loss: a sum, over all ranks, or sums of rows."""
        check_focus("KMCL", self.gamma_neg, self.gamma_pos, self.clip)
        x, y, known = read_logits("KMCL", logits, labels)  # (B, C)
        rows = asymmetric_terms(x, y, self.gamma_neg, self.gamma_pos, self.clip, eps=1e-7)
        rows = rows if known is None else rows.masked_fill(~known, 0)
        if sample_weight is not None:
            rows = rows * read_weight("KMCL", sample_weight, labels.shape, rows)
        if self.reduction == "none":
            return rows.sum(1)
        return rows.sum() if self.group is None else Shard(self.group).total(rows.sum())

    def reconstruction(
        self,
        features: Tensor,
        logits: Tensor,
        means: Tensor,
        variances: Tensor,
        Y: Labels,
        *,
        sample_weight: Tensor | None = None,
    ) -> LossResult:
        """Negative log share of the true labels in the kernel mixture.

        ::

            l_ik = log sigmoid(x_ik) - (1/2) sum_d (f_id - mu_ikd)^2 / sd_ikd^2
            R_i  = logsumexp_k l_ik - logsumexp_{k in y_i} l_ik

        Notes
        -----
        Divisor: the rows with labels; the others contribute 0. The released code clamps the Gaussian kernel below at
        1e-38 and the share at 1e-7, which is what a row without labels gives there (16.1, and it is counted).
        """
        with full_precision(features):
            features, labels = _read(features, logits, Y)
            mu, v = _read_gaussians(means, variances, labels, features.shape[1], self.similarity)
            f = features.to(mu.dtype)
            backend = choose_backend(self.engine, len(f), math.prod(mu.shape[1:]), 8)
            if mu.dim() == 2:
                distances = isotropic_distances(f, mu, v)
            else:
                distances = anisotropic_distances(f, mu, v, backend == "dense")
            level = F.logsigmoid(logits.double()) - distances / 2  # (B, C)
            present = labels.dense() > 0
            counted = present.any(1)
            if (
                labels.has_unknown
            ):  # rows that do not count stay as they are: of nothing, there is no gradient
                hidden = labels.unknown.dense(torch.bool) & counted[:, None]
                level = level.masked_fill(hidden, -torch.inf)
            true = level.masked_fill(~present & counted[:, None], -torch.inf).logsumexp(1)
            values = torch.where(counted, level.logsumexp(1) - true, 0).to(mu.dtype)  # (B,)
            shard = None if self.group is None else Shard(self.group)
            weight = _of_anchors(sample_weight, labels, values)
            return reduce(values, self.reduction, counted, backend, shard, weight)

    def contrastive(
        self,
        means: Tensor,
        variances: Tensor,
        Y: Labels,
        *,
        n_features: int,
        sample_weight: Tensor | None = None,
    ) -> LossResult:
        """Samples that share a label are drawn together under that label, away from all the others.

        ::

            bd_ijk = (D/2) log((sd_ik^2 + sd_jk^2) / (2 sd_ik sd_jk)) + (D/4) (mu_ik - mu_jk)^2 / (sd_ik^2 + sd_jk^2)
            E_ijk  = exp(exp(-bd_ijk) / tau),   S_ik = sum_{j != i} E_ijk
            L_i    = -(1/|A(i)|) sum_{j in A(i)} sum_{k in y_i and y_j} log(J_ij E_ijk / S_ik + 1e-7)

        ``A(i)`` are the other samples that share a label with i, J is the Jaccard overlap. Anisotropic
        mixtures sum both terms over the dimensions, with 1 in the place of D where ``scale`` is "bhattacharyya".

        Parameters
        ----------
        means, variances, Y
            As in :meth:`forward`.
        n_features : int
            D.

        Notes
        -----
        Divisor: B, rows without a partner included; these contribute 0.
        """
        with full_precision(means):
            choice("KMCL", "scale", self.scale, SCALES)
            check_reduction("KMCL", self.reduction)
            check_group("KMCL", self.group)
            whole("KMCL", "n_features", n_features)
            tau = read_temperature("KMCL", self.temperature)
            _check_floating("means", means, means)
            labels = read_labels("KMCL", Y, means, "means", binary=True)
            mu, v = _read_gaussians(means, variances, labels, n_features, self.similarity)
            multiplied = mu.dim() == 2 or self.scale == "released"
            kernel = PairKernel(n_features / 2 if multiplied else 0.5, tau)
            mu, v = (t.unsqueeze(1) if t.dim() == 2 else t for t in (mu, v))  # (B, D, C)
            weight = _of_anchors(sample_weight, labels, mu)
            return self._contrasted(mu, v, labels, kernel, weight)

    def _contrasted(
        self, mu: Tensor, v: Tensor, labels: LabelMatrix, kernel: PairKernel, weight: Tensor | None
    ) -> LossResult:
        anchors, shard = slice(0, labels.n_rows), None
        if self.group is not None:
            shard = Shard(self.group)
            first = shard.first(labels.n_rows)
            anchors = slice(first, first + labels.n_rows)
            mu, v, labels = shard.rows(mu), shard.rows(v), shard.labels(labels)
        pairs = (anchors.stop - anchors.start, mu.numel())  # numbers of the dense form
        mu, v = mu.permute(2, 0, 1), v.permute(2, 0, 1)  # (C, B, D)
        backend = choose_backend(self.engine, *pairs, mu.element_size())
        if backend == "dense":
            values = kernel_pairs_dense(mu, v, labels, kernel, anchors)
        else:
            uniform = self.reduction != "none" and weight is None
            values = kernel_pairs_streamed(mu, v, labels, kernel, anchors, uniform)
        return reduce(values, self.reduction, torch.ones_like(values), backend, shard, weight)


def _of_anchors(sample_weight: Tensor | None, labels: LabelMatrix, beside: Tensor) -> Tensor | None:
    return None if sample_weight is None else anchor_weight("KMCL", sample_weight, labels, beside)


def _read(features: Tensor, logits: Tensor, Y: Labels) -> tuple[Tensor, LabelMatrix]:
    features = check_embeddings("KMCL", "features", features)
    _check_floating("logits", logits, features)
    labels = as_labels(Y, binary=True, who="KMCL")
    want = (len(features), labels.n_labels)
    if labels.n_rows != len(features) or tuple(logits.shape) != want:
        raise ManyLabelError(
            "KMCL",
            f"{len(features)} rows of labels, and logits of the same shape",
            f"labels {labels.shape} and logits {tuple(logits.shape)}",
            "Pass one row per sample.",
        )
    return features, read_labels("KMCL", labels, features, "features", binary=True)


def _check_floating(what: str, x: Tensor, beside: Tensor) -> None:
    """Refuse anything but a dense floating tensor with data, on the same device as the others."""
    right = isinstance(x, Tensor) and x.is_floating_point() and x.layout == torch.strided
    if not right or x.device != beside.device or x.device.type == "meta":
        got = f"{x.dtype} on {x.device}, {x.layout}" if isinstance(x, Tensor) else type(x).__name__
        hint = "MixtureHead gives logits, means and variances."
        raise ManyLabelError("KMCL", f"{what} as a floating tensor, beside the others", got, hint)


def _check_above_zero(variances: Tensor) -> None:
    if variances.numel() and not torch.compiler.is_compiling() and not transformed():
        low = float(variances.detach().min())
        if low <= 0:
            hint = "Take the exponential or softplus of what a layer gives."
            raise ManyLabelError("KMCL", "variances above 0", f"{low:g}", hint)


def _read_gaussians(
    means: Tensor, variances: Tensor, Y: LabelMatrix, n_features: int, similarity: str
) -> tuple[Tensor, Tensor]:
    """Means and ``sd^2``, both (B, C) or both (B, D, C), in working precision."""
    choice("KMCL", "similarity", similarity, SIMILARITIES)
    _check_floating("means", means, means)
    _check_floating("variances", variances, means)
    (b, c), d = Y.shape, n_features
    layouts = {(b, d, c): (b, d, c), (b, d * c): (b, d, c), (b, c): (b, c)}
    got = tuple(means.shape)
    if got not in layouts:
        expected = f"means of shape {(b, c)} (isotropic) or {(b, d, c)} (anisotropic)"
        raise ManyLabelError("KMCL", expected, str(got), "Pass one Gaussian per row and label.")
    mu = means.to(working_dtype(means)).reshape(layouts[got])
    v = _spread(variances, mu, similarity).to(mu.dtype)
    return mu, (v + v.sqrt() * (2 * SD_EPS) + SD_EPS**2).expand_as(mu)


def _spread(variances: Tensor, mu: Tensor, similarity: str) -> Tensor:
    """Variances in a shape that broadcasts against the means: per label, per dimension or per row."""
    if similarity == ("rbf" if mu.dim() == 3 else "mks"):
        raise ManyLabelError(
            "KMCL",
            "'mks' with anisotropic means or 'rbf' with isotropic ones",
            f"{similarity!r} with means {tuple(mu.shape)}",
            "'bc' takes both.",
        )
    shape = {"bc": tuple(mu.shape), "mks": (*mu.shape[:2], 1), "rbf": (len(mu), 1)}[similarity]
    flat = (len(mu), math.prod(shape[1:]))
    if tuple(variances.shape) not in (shape, flat):
        expected = f"variances of shape {flat} for similarity {similarity!r}"
        raise ManyLabelError(
            "KMCL", expected, str(tuple(variances.shape)), "A linear head of that width gives them."
        )
    _check_above_zero(variances)
    return variances.reshape(shape)
