"""The table of losses: every registered one with inputs that it takes and its slow twin, and small cases of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest
import torch
from tests import reference
from torch import Tensor

from manylabel import losses
from manylabel.losses.softmax import flash

ENGINES = ("dense", "streamed")

TWINS: dict[str, Callable[..., Tensor]] = {
    "supcon": reference.supcon,
    "all": reference.supcon_all,
    "any": reference.supcon_any,
    "mulsupcon": reference.mulsupcon,
    "mulsupcon_weighted": reference.mulsupcon_weighted,
    "decoupled": reference.decoupled,
    "base": reference.base,
    "jaccard": reference.jaccard,
    "similarity_dissimilarity": reference.similarity_dissimilarity,
    "pair_weighted": reference.pair_weighted,
}
SOFT = ("mulsupcon", "mulsupcon_weighted", "decoupled")


@dataclass
class Case:
    """Raw rows and labels of anchors and candidates."""

    x: Tensor
    Y: Tensor
    keys: Tensor
    T: Tensor

    def to(self, dtype: torch.dtype) -> Case:
        return Case(self.x.to(dtype), self.Y, self.keys.to(dtype), self.T)


def labels(n: int, c: int, density: float, generator: torch.Generator, one: bool = False) -> Tensor:
    """Random 0/1 rows; with ``one``, one label per row."""
    if one:
        return torch.nn.functional.one_hot(torch.randint(c, (n,), generator=generator), c)
    return (torch.rand(n, c, generator=generator) < density).long()


def case(
    name: str = "any", b: int = 9, n: int = 14, c: int = 5, d: int = 6, density: float = 0.3, seed: int = 0
) -> Case:
    """A random case; rows without labels and shared vectors among them, one label a row for SupCon."""
    g = torch.Generator().manual_seed(seed)
    x, keys = torch.randn(b, d, generator=g).double(), torch.randn(n, d, generator=g).double()
    Y, T = (labels(rows, c, density, g, one=name == "supcon") for rows in (b, n))
    return Case(x, Y, keys, T)


def run(
    name: str,
    c: Case,
    in_batch: bool,
    *,
    keys_grad: bool = True,
    sparse: bool = False,
    ran: str | None = None,
    **settings: object,
) -> tuple[Tensor, list[Tensor]]:
    """Value and gradients (anchors, and keys where they have one) of a loss built by name.

    ``ran`` is the backend that must have run, the one that the settings ask for where it is left out.
    """
    x = c.x.clone().requires_grad_()
    keys = c.keys.clone().requires_grad_(keys_grad)
    Y, T = (c.Y.double().to_sparse(), c.T.double().to_sparse()) if sparse else (c.Y, c.T)
    loss = losses.get(name, **settings)
    value = loss(x, Y) if in_batch else loss(x, Y, keys, T)
    assert loss.backend == (ran or settings.get("engine", loss.backend))
    inputs = [x] if in_batch or not keys_grad else [x, keys]
    return value.detach(), list(torch.autograd.grad(value.sum(), inputs))


def twin(
    name: str, c: Case, in_batch: bool, tau: float, normalize: bool = True
) -> tuple[Tensor, list[Tensor]]:
    """What the slow twin says, in float64."""
    x, keys = c.x.double().clone().requires_grad_(), c.keys.double().clone().requires_grad_()
    z, k = (reference.unit(x), reference.unit(keys)) if normalize else (x, keys)
    value = TWINS[name](z, c.Y, z, c.Y, tau, True) if in_batch else TWINS[name](z, c.Y, k, c.T, tau, False)
    grads = torch.autograd.grad(value, [x] if in_batch else [x, keys], allow_unused=True)
    return value.detach(), [
        torch.zeros_like(i) if g is None else g for g, i in zip(grads, [x, keys], strict=False)
    ]


def assert_near(
    got: tuple[Tensor, list[Tensor]], want: tuple[Tensor, list[Tensor]], rtol: float, atol: float = 0.0
) -> None:
    """Values relative to 1 or more, gradients relative to their largest entry."""
    scale = max(1.0, float(want[0].abs()))
    assert abs(float(got[0]) - float(want[0])) <= rtol * scale + atol, (float(got[0]), float(want[0]))
    for g, w in zip(got[1], want[1], strict=True):
        largest = max(float(w.abs().max()), 1e-3)
        error = float((g.double() - w.double()).abs().max())
        assert error <= rtol * largest + atol, (error, largest)


class Size(NamedTuple):
    """How much to draw: anchors, candidates, labels, dimensions; the share of labels; the share of empty rows."""

    b: int = 7
    n: int = 9
    c: int = 4
    d: int = 5
    density: float = 0.4
    empty: float = 0.2
    seed: int = 0


class Inputs(NamedTuple):
    """Floating arguments, which get gradients, label rows, and floating arguments that come last and get none."""

    floats: list[Tensor]
    labels: list[Tensor]
    constants: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Entry:
    """A loss in one of the forms in which it can be called."""

    loss: str
    form: str
    draw: Callable[[Size], Inputs]
    call: Callable[..., Tensor]  # (loss, floats, labels)
    twin: Callable[..., Tensor]  # (floats, labels, temperature, **reduction), float64
    settings: dict[str, Any] = field(default_factory=dict)
    attention: bool = False  # whether the flash backend can do it
    variant: str = ""  # its settings in a word, where two entries have the same form

    def __str__(self) -> str:
        return "-".join(filter(None, (self.loss, self.form, self.variant)))

    @property
    def takes(self) -> frozenset[str]:
        return frozenset(inspect.signature(type(losses.get(self.loss))).parameters)

    @property
    def engines(self) -> tuple[str | None, ...]:
        if "engine" not in self.takes:
            return (None,)
        return (*ENGINES, "flash") if self.attention else ENGINES

    def value(
        self, inputs: Inputs, temperature: float = 0.5, sparse: bool = False, **settings: Any
    ) -> Tensor:
        """What the loss gives, on the backend asked for; settings that it does not have are left out."""
        return self.called(self.build(temperature, **settings), inputs, temperature, sparse)

    def build(self, temperature: float = 0.5, **settings: Any) -> torch.nn.Module:
        """The loss, without the settings that it does not have."""
        wanted = {"temperature": temperature, **self.settings, **settings}
        return losses.get(self.loss, **{k: v for k, v in wanted.items() if k in self.takes and v is not None})

    def called(
        self, loss: torch.nn.Module, inputs: Inputs, temperature: float = 0.5, sparse: bool = False
    ) -> Tensor:
        """What a loss gives, and by the backend asked for."""
        floats = [*self.tempered(inputs.floats, temperature), *inputs.constants]
        value = self.call(loss, floats, [y.double().to_sparse() if sparse else y for y in inputs.labels])
        if "engine" in self.takes and loss.engine != "auto":
            assert loss.backend == self.backend(loss.engine, floats[0])
        return value

    def backend(self, engine: str, z: Tensor) -> str:
        """What runs where a backend is asked for; a skip where this platform lacks it."""
        if engine != "flash":
            return engine
        if not self.attention:
            return "streamed"
        needs_attention(z)
        return "flash"

    def exact(self, inputs: Inputs, temperature: float = 0.5, **reduction: str) -> Tensor:
        """What the slow twin gives; its divisor with ``reduction="divisor"``."""
        floats = self.tempered([t.double() for t in inputs.floats], temperature)
        floats += [t.double() for t in inputs.constants]
        return self.twin(floats, inputs.labels, temperature, **reduction)

    def tempered(self, floats: list[Tensor], temperature: float) -> list[Tensor]:
        """Losses on logits have no temperature: there it scales the logits, up to some hundreds."""
        return [t / max(temperature, 0.02) for t in floats] if self.form == "logits" else floats


def needs_attention(z: Tensor) -> None:
    """Skip a test where torch has no attention operator that the flash backend can use on rows like these."""
    wide = torch.float64 if z.dtype == torch.float64 else torch.float32
    if not flash.works(z.device.type, wide, z.shape[1]):
        pytest.skip(f"this torch has no attention operator for {wide} on {z.device.type}")


def generator(size: Size) -> torch.Generator:
    return torch.Generator().manual_seed(size.seed)


def normal(g: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g).double()


def rows(g: torch.Generator, size: Size, n: int, one: bool = False) -> Tensor:
    Y = labels(n, size.c, size.density, g, one)
    return Y * (torch.rand(n, 1, generator=g) >= size.empty)


def contrastive(one: bool, keys: bool) -> Callable[[Size], Inputs]:
    def draw(size: Size) -> Inputs:
        g, counts = generator(size), (size.b, size.n) if keys else (size.b,)
        return Inputs([normal(g, n, size.d) for n in counts], [rows(g, size, n, one) for n in counts])

    return draw


def with_other_views(size: Size) -> Inputs:
    """Anchors and keys of which the first are other views of the anchors, and have their labels."""
    (z, keys), (Y, T), _ = contrastive(one=False, keys=True)(size)
    views = normal(generator(size._replace(seed=size.seed + 1)), len(z), size.d)
    return Inputs([z, torch.cat([views, keys])], [Y, torch.cat([Y, T])])


def with_prototypes(keys: bool) -> Callable[[Size], Inputs]:
    def draw(size: Size) -> Inputs:
        g, counts = generator(size), (size.b, size.n) if keys else (size.b,)
        z, *others = (normal(g, n, size.d) for n in counts)
        return Inputs([z, normal(g, size.c, size.d), *others], [rows(g, size, n) for n in counts])

    return draw


def last_constant(draw: Callable[[Size], Inputs]) -> Callable[[Size], Inputs]:
    """The last floating argument, keys or prototypes, without a gradient."""

    def drawn(size: Size) -> Inputs:
        floats, labels, _ = draw(size)
        return Inputs(floats[:-1], labels, floats[-1:])

    return drawn


def logits(size: Size) -> Inputs:
    g = generator(size)
    return Inputs([normal(g, size.b, size.c)], [rows(g, size, size.b)])


def mixture(means: str, variances: str) -> Callable[[Size], Inputs]:
    """Axes of the means and of the variances, by their letters in ``Size``."""

    def draw(size: Size) -> Inputs:
        g, lengths = generator(size), {**size._asdict(), "1": 1}
        mu = 0.2 * normal(g, *(lengths[axis] for axis in means))
        v = 1.01 + torch.rand(*(lengths[axis] for axis in variances), generator=g).double()
        return Inputs([normal(g, size.b, size.d), normal(g, size.b, size.c), mu, v], [rows(g, size, size.b)])

    return draw


def call_contrastive(loss: torch.nn.Module, floats: list[Tensor], labels: list[Tensor]) -> Tensor:
    return loss(*(argument for pair in zip(floats, labels, strict=True) for argument in pair))


def call_with_prototypes(loss: torch.nn.Module, floats: list[Tensor], labels: list[Tensor]) -> Tensor:
    z, p, *keys = floats
    return loss(z, labels[0], p, *keys, *labels[1:])


def call_with_labels_last(loss: torch.nn.Module, floats: list[Tensor], labels: list[Tensor]) -> Tensor:
    return loss(*floats, *labels)


def twin_of_rows(twin: Callable[..., Tensor], **settings: object) -> Callable[..., Tensor]:
    def of_rows(x: list[Tensor], y: list[Tensor], tau: float, **more: object) -> Tensor:
        z, k = reference.unit(x[0]), reference.unit(x[-1])
        return twin(z, y[0], k, y[-1], tau, len(x) == 1, **settings, **more)

    return of_rows


def contrastive_entries() -> Iterator[Entry]:
    for name, twin in {**TWINS, "mulsupcon_inbatch": reference.mulsupcon}.items():
        for form in ("batch", "keys"):
            if (name, form) != ("mulsupcon_inbatch", "keys"):
                draw = contrastive(name == "supcon", form == "keys")
                yield Entry(name, form, draw, call_contrastive, twin_of_rows(twin))


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "aware": ("mulsupcon", {"negatives": "label_aware"}),
    "rare-cold": ("mulsupcon", {"frequency_power": 0.5}),
    "rare-warm": ("mulsupcon", {"frequency_power": -0.3}),
    "both": ("decoupled", {"negatives": "label_aware", "frequency_power": 0.5}),
    "any-overlap": ("jaccard", {"threshold": 0.0}),
    "a-third": ("jaccard", {"threshold": 1 / 3}),
    "": ("debiased", {}),
    "alike": ("debiased", {"negatives": "alike", "frequency_power": 0.5}),
}


def optional_entries() -> Iterator[Entry]:
    """Losses under settings beside the usual ones, and other views as the only positives."""
    for variant, (name, settings) in VARIANTS.items():
        twin = twin_of_rows(getattr(reference, name), **settings)
        for form in ("batch", "keys") if name != "debiased" else ("keys",):
            draw = with_other_views if name == "debiased" else contrastive(False, form == "keys")
            yield Entry(name, form, draw, call_contrastive, twin, settings, variant=variant)


def prototype_entries() -> Iterator[Entry]:
    def twin_of(name: str, **settings: float) -> Callable[..., Tensor]:
        def twin(x: list[Tensor], y: list[Tensor], tau: float, **reduction: str) -> Tensor:
            z, p, *keys = (reference.unit(t) for t in x)
            more = {"keys": keys[0], "T": y[1]} if keys else {}
            return getattr(reference, name)(z, y[0], p, tau, **more, **settings, **reduction)

        return twin

    for name, form, settings in (
        ("proto", "", {}),
        ("msc", "batch", {}),
        ("msc", "keys", {"alpha": 0.7, "beta": 0.3}),
        ("reg", "soft", {"alpha": 0.0}),
        ("reg", "share", {"alpha": 1.0}),
        ("reg", "hard", {"alpha": -1.0}),
        ("wrg", "share", {"alpha": 1.0}),
        ("wrg", "hard", {"alpha": -1.0}),
    ):
        draw = with_prototypes(form == "keys")
        yield Entry(name, form, draw, call_with_prototypes, twin_of(name, **settings), settings)


def logit_entries() -> Iterator[Entry]:
    for name in ("bce", "focal", "asl", "zlpr", "twoway"):
        twin = getattr(reference, name)
        yield Entry(
            name,
            "logits",
            logits,
            call_with_labels_last,
            lambda x, y, tau, twin=twin, **reduction: twin(x[0], y[0], **reduction),
        )


def mixture_entries() -> Iterator[Entry]:
    for form, axes, settings in (
        ("isotropic", ("bc", "bc"), {}),
        ("anisotropic", ("bdc", "bdc"), {}),
        ("bhattacharyya", ("bdc", "bdc"), {"scale": "bhattacharyya"}),
        ("mks", ("bdc", "bd"), {"similarity": "mks"}),
        ("rbf", ("bc", "b1"), {"similarity": "rbf"}),
    ):

        def twin(
            x: list[Tensor],
            y: list[Tensor],
            tau: float,
            scale: str = settings.get("scale", "released"),
            **reduction: str,
        ) -> Tensor:
            f, x, mu, v = x
            v = v[:, :, None] if v.dim() < mu.dim() else v
            return reference.kmcl(f, x, mu, v.expand_as(mu), y[0], scale, tau, **reduction)

        yield Entry("kmcl", form, mixture(*axes), call_with_labels_last, twin, settings)


def constant_entries() -> Iterator[Entry]:
    """Losses whose weights are label sums, against candidates without a gradient."""
    factorised = ("supcon-keys", "all-keys", "mulsupcon-keys", "mulsupcon_weighted-keys", "proto")
    for entry in (*contrastive_entries(), *prototype_entries()):
        if str(entry) in factorised:
            yield replace(entry, form="constant", draw=last_constant(entry.draw), attention=True)


ENTRIES = [
    *contrastive_entries(),
    *optional_entries(),
    *prototype_entries(),
    *constant_entries(),
    *logit_entries(),
    *mixture_entries(),
]
CALLS = [(entry, engine) for entry in ENTRIES for engine in entry.engines]
