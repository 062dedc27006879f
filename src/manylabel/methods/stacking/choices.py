"""Choices of a learner on the first fold: values of a grid and rival forms, by the log-loss of a stack of it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from torch import nn

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.methods.families import single
from manylabel.methods.method import Method
from manylabel.methods.resolve import merged
from manylabel.methods.stacking.common_scale import Frequency, Spread
from manylabel.methods.stacking.cross_fit import CrossFit, Fit
from manylabel.methods.stacking.evidence import Judge, less
from manylabel.methods.stacking.settings import Learner, Rival, dotted

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, eq=False)
class Form:
    """One form of a learner: a method with settings.

    Attributes
    ----------
    label : str
        Of its folder.
    recipe : str
    settings : dict of dotted name to value
    method : Method
    """

    label: str
    recipe: str
    settings: dict[str, Any]
    method: Method


@dataclass(eq=False)
class Candidate:
    """A learner as it was chosen, and its trainings so far.

    Attributes
    ----------
    name : str
    learner : Learner
    form : Form
    fits : list of Fit
        Of the folds from the first on.
    chosen : dict of dotted name to value
        What was tried and kept.
    rivals : dict of name to dict of metric to float
        See :class:`manylabel.methods.stacking.evidence.LearnerEvidence`.
    seconds : float
    """

    name: str
    learner: Learner
    form: Form
    fits: list[Fit]
    chosen: dict[str, Any] = field(default_factory=dict)
    rivals: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, fit: Fit) -> None:
        """Keep a training of a further fold, without its scorer where all rows train another."""
        self.fits.append(fit if self.learner.final == "folds" else replace(fit, scorer=None))
        self.seconds += fit.seconds


def forms_of(name: str, learner: Learner, size: tuple[int, int], encoder: nn.Module | None) -> Iterator[Form]:
    """The forms of the grid of a learner, or the one that it has without a grid.

    Parameters
    ----------
    name : str
    learner : Learner
    size : (rows, labels)
    encoder : nn.Module or None
        The caller's own.

    Raises
    ------
    ManyLabelError
        If the learner is not for so many labels or rows, or its settings cannot be used.
    """
    settings = dict(dotted(learner.settings)) | _bounded(name, learner, size)
    if learner.grid is None:
        yield Form(name, learner.method, settings, single(learner.method, settings, encoder))
        return
    for value in learner.grid.values:
        changed = settings | {learner.grid.setting: value}
        label = f"{name}-{value:g}"
        yield Form(label, learner.method, changed, single(learner.method, changed, encoder))


def _bounded(name: str, learner: Learner, size: tuple[int, int]) -> dict[str, Any]:
    n_rows, n_labels = size
    limits = (("labels", n_labels, learner.most_labels), ("rows", n_rows, learner.most_rows))
    for what, n, most in limits:
        if most is not None and n > most:
            raise ManyLabelError(f"learner {name}", f"at most {most} {what}", f"{n}")
    bound = learner.bound
    if bound is None:
        return {}
    value = min(bound.most, int(bound.entries / (n_rows * n_labels)))
    if value < bound.least:
        expected = f"rows times labels of which {bound.setting} may be {bound.least}"
        raise ManyLabelError(f"learner {name}", expected, f"{n_rows} rows and {n_labels} labels")
    return {bound.setting: value}


@dataclass(frozen=True, eq=False)
class Chooser:
    """Tries the forms of one learner on the first fold.

    Attributes
    ----------
    name : str
    learner : Learner
    contest : CrossFit
    judge : Judge
    encoder : nn.Module or None
    """

    name: str
    learner: Learner
    contest: CrossFit
    judge: Judge
    encoder: nn.Module | None

    def chosen(self) -> Candidate:
        """The learner in the form that is best on the first fold.

        Raises
        ------
        ManyLabelError
            If the learner refuses the data; a rival that does is passed over.
        """
        candidate, loss, rivals = self._started()
        won: dict[str, Any] = {}
        for name, rival in rivals.items():
            try:
                loss = self._challenged(candidate, loss, name, rival, won)
            except files.Unusable:
                raise
            except ManyLabelError:
                continue
        return candidate

    def _started(self) -> tuple[Candidate, float, dict[str, Rival]]:
        """The best of the grid, its loss, and the rivals that are left.

        Where the rows are none for the settings of the learner, those of a rival stand in, if it is the same method.
        """
        rivals = {name: rival for name, rival in self.learner.rivals.items() if rival and rival.use}
        refusals = []
        for name, rival in {"": Rival(), **rivals}.items():
            if rival.method is not None:
                continue
            try:
                found = self._of_grid(f"{self.name}-{name}" if name else self.name, rival.settings)
            except files.Unusable:
                raise
            except ManyLabelError as error:
                refusals.append(error)
                continue
            return *found, {other: rivals[other] for other in rivals if other != name}
        raise refusals[0]

    def _of_grid(self, label: str, changes: dict[str, Any]) -> tuple[Candidate, float]:
        """The last form of the grid before one that is worse, and its loss."""
        size = (len(self.contest.rows), self.contest.rows.Y.n_labels)
        changed = self.learner.model_copy(update={"settings": merged(self.learner.settings, changes)})
        forms = forms_of(label, changed, size, self.encoder)
        form = next(forms)
        candidate = Candidate(self.name, self.learner, form, [self._fit(form)], dict(dotted(changes)))
        loss, candidate.seconds = self._loss(candidate.fits[0]), candidate.fits[0].seconds
        for form in forms:
            fit = self._fit(form)
            candidate.seconds += fit.seconds
            found = self._loss(fit)
            if found >= loss:
                break
            candidate.form, candidate.fits, loss = form, [fit], found
        if (grid := self.learner.grid) is not None:
            candidate.chosen[grid.setting] = candidate.form.settings[grid.setting]
        return candidate, loss

    def _challenged(
        self, candidate: Candidate, loss: float, name: str, rival: Rival, won: dict[str, Any]
    ) -> float:
        """Let a rival take the place of a form that is worse; the loss of the better one."""
        before = candidate.form
        recipe, changes = rival.method or before.recipe, dict(dotted(rival.settings))
        settings = (before.settings if recipe == before.recipe else won) | changes
        form = Form(f"{self.name}-{name}", recipe, settings, single(recipe, settings, self.encoder))
        fit = self._fit(form)
        candidate.seconds += fit.seconds
        rows = self.contest.places(0)
        measured = [self.judge.measured(each.scores, rows) for each in (candidate.fits[0], fit)]
        candidate.rivals[name] = less(*measured)
        found = self._loss(fit)
        if found >= loss:
            return loss
        candidate.form, candidate.fits = form, [fit]
        candidate.chosen |= changes
        if rival.method is None:
            won |= changes
        return found

    def _fit(self, form: Form) -> Fit:
        return self.contest.fit(form.method, self.name, form.label, 0)

    def _loss(self, fit: Fit) -> float:
        logits, _ = on_common_scale(self.learner, fit.scores, self.judge.frequency)
        return self.judge.alone(logits, self.contest.places(0))


def on_common_scale(learner: Learner, scores: Array, frequency: Frequency) -> tuple[Array, Spread]:
    """Scores of held-out rows as logits that a stack can weigh, and how these were spread before.

    Parameters
    ----------
    learner : Learner
    scores : (n, n_labels) array
    frequency : Frequency

    Returns
    -------
    logits : (n, n_labels) float32 array
    spread : Spread
        By which new rows are standardised; none where the learner's logits stay as they are.
    """
    logits = frequency.logits(scores, learner.rests_on)
    if not learner.standardised:
        return logits, Spread.none(logits.shape[1])
    spread = Spread.of(logits)
    return spread.standardised(logits), spread
