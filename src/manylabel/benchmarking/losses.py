"""The cases of ``manylabel bench losses``: what each is measured against, and the goal."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import torch

from manylabel.benchmarking import measure, problems, textbook
from manylabel.benchmarking.measure import USUAL, Effort
from manylabel.benchmarking.problems import Problem, Shape
from manylabel.errors import ManyLabelError
from manylabel.kernels.loading import compiled, without_compiled

MIB = 1 << 20
LOSS_ERROR, GRADIENT_ERROR = 2e-7, 2e-6
NO_LOSS = 0.95  # where compiled kernels gain nothing, they may cost the rest


@dataclass(frozen=True)
class Case:
    """One loss on inputs of one shape, and its goals; a goal that is None is not measured.

    Attributes
    ----------
    faster, smaller : float
        At least so many times less time, or extra memory, than the textbook way takes.
    floors : float
        At most so many times the time of the bare matrix products.
    room : float
        At most so many MiB of extra memory beside the gradients.
    exact : bool
        Whether value and gradients are compared with those in float64.
    gradient_error : float
        The largest relative error of a gradient.
    grows : bool
        Whether the time at 2, 4 and 8 times the anchors is taken as well.
    fewer : int
        What part of the anchors the kernels are compared on, where all of them would take minutes.
    """

    about: str
    make: Callable[[Shape], Problem]
    shape: Shape
    faster: float | None = None
    smaller: float | None = None
    floors: float | None = None
    room: float | None = None
    exact: bool = True
    gradient_error: float = GRADIENT_ERROR
    grows: bool = False
    threads: float | None = None
    fewer: int = 1


@dataclass(frozen=True)
class Row:
    """One measured figure beside its goal."""

    case: str
    threads: int
    what: str
    measured: float
    goal: float
    at_least: bool
    detail: str = ""

    @property
    def met(self) -> bool:
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal


CASES: dict[str, Case] = {
    "mulsupcon-64": Case(
        "MulSupCon, constant keys",
        problems.with_keys,
        Shape(64, 2112, 80, 256, 3),
        faster=3.8,
        smaller=12,
    ),
    "mulsupcon-256": Case(
        "MulSupCon, constant keys",
        problems.with_keys,
        Shape(256, 8448, 365, 256, 6.5),
        faster=20,
        smaller=150,
        floors=1.1,
    ),
    "mulsupcon-1024": Case(
        "MulSupCon, constant keys; textbook of 16 anchors, scaled up",
        partial(problems.with_keys, textbook_rows=16),
        Shape(1024, 66560, 983, 128, 19),
        faster=120,
        floors=1.2,
        threads=1.7,
    ),
    "mulsupcon-1024-flash": Case(
        "MulSupCon, constant keys, by attention",
        partial(problems.with_keys, textbook_rows=16, engine="flash"),
        Shape(1024, 66560, 983, 128, 19),
        floors=1.2,
    ),
    "mulsupcon-in-batch": Case(
        "MulSupCon of a batch against itself",
        partial(problems.in_batch, "mulsupcon"),
        Shape(4096, 4096, 365, 128, 6.5),
        floors=0.8,
        threads=1.7,
    ),
    "mulsupcon-65536": Case(
        "MulSupCon of a batch against itself, listed labels",
        partial(problems.in_batch, "mulsupcon"),
        Shape(65536, 65536, 1000, 128, 19),
        room=16,
        exact=False,
        fewer=16,
    ),
    "any-in-batch": Case(
        "ANY of a batch against itself",
        partial(problems.in_batch, "any"),
        Shape(4096, 4096, 365, 128, 6.5),
        floors=1.1,
        threads=1.7,
    ),
    "reg-512": Case(
        "REG, alpha 0", partial(problems.with_prototypes, slow=True), Shape(512, 592, 80, 128, 3), faster=35
    ),
    "reg-4096": Case(
        "REG, alpha 0",
        partial(problems.with_prototypes, slow=False),
        Shape(4096, 4461, 365, 128, 6.5),
        floors=1.4,
        room=32,
        threads=1.7,
    ),
    "kmcl-isotropic": Case(
        "KMCL's contrastive term, one variance a label",
        partial(problems.kernel_mixture, anisotropic=False),
        Shape(256, 256, 80, 2048, 3),
        faster=80,
        smaller=50,
        gradient_error=5e-6,
    ),
    "kmcl-anisotropic": Case(
        "KMCL's contrastive term, one variance a label and feature",
        partial(problems.kernel_mixture, anisotropic=True),
        Shape(64, 64, 80, 128, 3),
        faster=120,
        smaller=50,
        gradient_error=5e-6,
    ),
    "mulsupcon-100000-labels": Case(
        "MulSupCon, constant keys, listed labels",
        problems.with_keys_and_many_labels,
        Shape(8192, 65536, 100_000, 128, 5),
        room=64,
        exact=False,
        fewer=8,
    ),
    "mulsupcon-growing": Case(
        "MulSupCon, constant keys, at 1, 2, 4 and 8 times the anchors",
        problems.with_keys,
        Shape(256, 8448, 365, 128, 6.5),
        exact=False,
        grows=True,
    ),
}


def rows(names: Sequence[str] = (), threads: Sequence[int] = (1,), effort: Effort = USUAL) -> Iterator[Row]:
    """Measure cases, all of them unless some are named; one figure at a time."""
    for name in names:
        if name not in CASES:
            raise ManyLabelError("bench", "cases among " + ", ".join(CASES), repr(name))
    return chain.from_iterable(_measured(name, CASES[name], threads, effort) for name in names or CASES)


def _measured(name: str, case: Case, threads: Sequence[int], effort: Effort) -> Iterator[Row]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    problem = case.make(case.shape)
    if case.exact:
        yield from _errors(name, case, problem)
    if case.smaller or case.room:
        yield from _memory(name, case)
    if case.grows:
        yield _growth(name, case, effort)
    if case.faster or case.floors:
        for count in threads:
            yield from _times(name, case, problem, count, effort)
    elif compiled() is not None:
        yield _kernels(name, case, effort)
    if case.threads and len(threads) > 1:
        yield _gain(name, case, problem, max(threads), effort)
    torch.set_num_threads(1)


def _errors(name: str, case: Case, problem: Problem) -> Iterator[Row]:
    got, want = problem.loss(torch.float32), problem.loss(torch.float64)
    value, *grads = (float((g - w).abs().max() / w.abs().max()) for g, w in zip(got, want, strict=True))
    yield Row(name, 1, "value against float64", value, LOSS_ERROR, False)
    yield Row(name, 1, "gradient against float64", max(grads), case.gradient_error, False)


def _times(name: str, case: Case, problem: Problem, threads: int, effort: Effort) -> Iterator[Row]:
    functions: dict[str, Callable[[], object]] = {"loss": lambda: problem.loss(torch.float32)}
    if case.floors and problem.floor:
        functions["floor"] = problem.floor()
    if case.faster and problem.textbook:
        functions["textbook"] = problem.textbook
    if compiled() is not None:
        functions["torch alone"] = partial(_by_torch_alone, problem)
    best = measure.seconds(functions, threads, effort)
    if case.faster:
        best["textbook"] /= problem.textbook_share
        yield Row(name, threads, "textbook / loss, time", *_ratio(best, "textbook", "loss", case.faster))
    if case.floors:
        yield Row(name, threads, "loss / products, time", *_ratio(best, "loss", "floor", case.floors))
    if "torch alone" in best:
        yield _without_and_with(name, threads, best)


def _kernels(name: str, case: Case, effort: Effort) -> Row:
    """The loss with and without compiled kernels, of a case whose time has no other goal."""
    problem = case.make(replace(case.shape, rows=case.shape.rows // case.fewer))
    functions = {
        "loss": partial(problem.loss, torch.float32),
        "torch alone": partial(_by_torch_alone, problem),
    }
    return _without_and_with(name, 1, measure.seconds(functions, 1, effort))


def _without_and_with(name: str, threads: int, best: dict[str, float]) -> Row:
    measured, _, _, detail = _ratio(best, "torch alone", "loss", NO_LOSS)
    return Row(name, threads, "without / with compiled kernels, time", measured, NO_LOSS, True, detail)


def _by_torch_alone(problem: Problem) -> list[torch.Tensor]:
    with without_compiled():
        return problem.loss(torch.float32)


def _ratio(best: dict[str, float], above: str, below: str, goal: float) -> tuple[float, float, bool, str]:
    detail = f"{1000 * best[above]:.1f} / {1000 * best[below]:.1f} ms"
    return best[above] / best[below], goal, above == "textbook", detail


def _memory(name: str, case: Case) -> Iterator[Row]:
    loss, gradients = _in_fresh_process(name, "loss")
    if case.smaller:
        slow, _ = _in_fresh_process(name, "textbook")
        detail = f"{slow / MIB:.1f} / {loss / MIB:.1f} MiB"
        yield Row(name, 1, "textbook / loss, extra memory", slow / loss, case.smaller, True, detail)
    if case.room:
        detail = f"{loss / MIB:.1f} MiB with gradients of {gradients / MIB:.1f}"
        beside = (loss - gradients) / MIB
        yield Row(name, 1, "extra memory beside gradients, MiB", beside, case.room, False, detail)


def _growth(name: str, case: Case, effort: Effort) -> Row:
    """The slope of log time against log anchors, by least squares."""
    factors = (1, 2, 4, 8)
    made = {f: case.make(replace(case.shape, rows=f * case.shape.rows)) for f in factors}
    best = measure.seconds({str(f): partial(p.loss, torch.float32) for f, p in made.items()}, 1, effort)
    x = [math.log(f) for f in factors]
    y = [math.log(best[str(f)]) for f in factors]
    slope = sum((a - sum(x) / 4) * b for a, b in zip(x, y, strict=True)) / sum(
        (a - sum(x) / 4) ** 2 for a in x
    )
    detail = f"slope {slope:.3f}: " + " ".join(f"{1000 * best[str(f)]:.0f}" for f in factors) + " ms"
    return Row(name, 1, "distance of the slope of log time from 1", abs(slope - 1), 0.1, False, detail)


def _gain(name: str, case: Case, problem: Problem, threads: int, effort: Effort) -> Row:
    """How many times faster the loss is with more threads, by the clock."""

    def run(count: int) -> object:
        torch.set_num_threads(count)
        return problem.loss(torch.float32)

    best = measure.seconds({"one": partial(run, 1), "more": partial(run, threads)}, threads, effort)
    detail = f"{1000 * best['one']:.1f} / {1000 * best['more']:.1f} ms"
    assert case.threads is not None
    return Row(
        name, threads, "one thread / more, time", best["one"] / best["more"], case.threads, True, detail
    )


def _in_fresh_process(name: str, side: str) -> tuple[int, int]:
    command = [sys.executable, "-m", "manylabel.benchmarking.losses", name, side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    extra, returned = map(int, done.stdout.split())
    return extra, returned


def peak(name: str, side: str) -> tuple[int, int]:
    """Extra bytes of one side of a case, and those of what it returns; for a process of its own."""
    torch.set_num_threads(1)
    case = CASES[name]
    tiny, problem = case.make(case.shape.tiny()), case.make(case.shape)

    def run(of: Problem) -> list[torch.Tensor]:
        if side == "loss":
            return of.loss(torch.float32)
        assert of.textbook is not None
        return of.textbook()

    run(tiny)
    textbook.products(512, 1024, case.shape.dim, both=True)()  # loads what any matrix product loads
    returned: list[torch.Tensor] = []
    extra = measure.extra_bytes(lambda: returned.extend(run(problem)))
    return extra, sum(t.nbytes for t in returned)


if __name__ == "__main__":
    print(*peak(*sys.argv[1:]))
