"""Stacking: learners cross-fitted on the training rows, weighted by their out-of-fold scores, and fitted on all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from manylabel import files
from manylabel.data import Rows
from manylabel.data.rows import SparseVectors, Vectors
from manylabel.data.rows.precision import is_wide
from manylabel.data.splits import folds_of
from manylabel.errors import ManyLabelError
from manylabel.methods.base import CrossFitter, NetworkTrainer, Order
from manylabel.methods.ensemble import EnsembleScorer
from manylabel.methods.families import SINGLE, recipe_of, takes_encoder
from manylabel.methods.fingerprint import fingerprint
from manylabel.methods.held_out import HeldOut, most_rows
from manylabel.methods.networks import check_network
from manylabel.methods.part import Scorer
from manylabel.methods.stacking.choices import Candidate, Chooser, forms_of, on_common_scale
from manylabel.methods.stacking.common_scale import Frequency, Spread
from manylabel.methods.stacking.cross_fit import CrossFit
from manylabel.methods.stacking.evidence import Judge, LearnerEvidence, StackEvidence
from manylabel.methods.stacking.scorer import StackScorer
from manylabel.methods.stacking.settings import LAYOUTS, Learner, StackingSettings, dotted, layout_of
from manylabel.methods.stacking.weights import Stack, learn

Array: TypeAlias = "np.ndarray[Any, Any]"

LEAST_FIRST = 0.03
"""Share of the stack on the first fold under which a learner is not trained on the others."""
LEAST_KEPT = 0.01
"""Share of the stack under which a learner is not kept."""


MOSTLY_ZERO = 0.1
"""Share of entries up to which vectors are taken as sparse."""


class StackingMethod(CrossFitter):
    """Cross-fit several learners, and combine them by what their out-of-fold scores are worth.

    Parameters
    ----------
    settings : StackingSettings
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of that of the learners that train an encoder.
    """

    settings: StackingSettings

    def __init__(self, settings: StackingSettings, encoder: nn.Module | None = None) -> None:
        super().__init__(settings)
        check_network(f"method {self.name}", encoder)
        self.encoder = encoder
        forms = [learner for layout in LAYOUTS for learner in settings.chosen(layout).values()]
        texts = [learner.model_dump_json() for learner in forms]
        families = [_checked(text) if ".toml" in text else _checked_once(text) for text in texts]
        if encoder is not None and not any(map(takes_encoder, families)):
            raise ManyLabelError(f"method {self.name}", "features as they are", "an encoder")

    def cross_fitted(
        self, rows: Rows, groups: Array | None, order: Order
    ) -> tuple[StackScorer, HeldOut | None]:
        rows = _as_sparse(rows)
        n_groups = len(rows) if groups is None else len(np.unique(groups))
        n_folds = min(self.settings.n_folds(len(rows)), n_groups, len(rows) // 2)
        training = _Training(self, rows, groups, order)
        if n_folds < 2:
            return training.without_folds(), None
        folds = folds_of(rows.Y, n_folds, int(order.seed), f"method {self.name}", groups)
        return training.stacked(folds)


def _as_sparse(rows: Rows) -> Rows:
    """Dense vectors of mostly zeros as sparse ones, which linear models take in a fraction of the time."""
    if not isinstance(rows.X, Vectors):
        return rows
    if torch.count_nonzero(rows.X.values) > MOSTLY_ZERO * rows.X.values.numel():
        return rows
    dtype = torch.float64 if is_wide(rows.X.dtype) else torch.float32
    return Rows(SparseVectors(rows.X.csr(dtype)), rows.Y, rows.weights)


def _of_mean_1(rows: Rows) -> Array | None:
    """The weights of rows, (n,) or (n, n_labels) float64, on the scale that ridge and few positives are meant for."""
    return None if rows.weights is None else np.asarray(rows.weights / rows.weights.mean(), dtype=np.float64)


def _checked(learner: str) -> Any:
    """The family of a learner, whose recipe and settings are known; ``learner`` is its JSON."""
    found = Learner.model_validate_json(learner)
    own = dict(dotted(found.settings))
    forms = [(found.method, own)]
    if found.grid is not None:
        forms += [(found.method, own | {found.grid.setting: value}) for value in found.grid.values]
    for rival in found.rivals.values():
        if rival and rival.use:
            kept = own if rival.method is None else {}
            forms.append((rival.method or found.method, kept | dict(dotted(rival.settings))))
    recipes = [recipe_of(method, SINGLE, settings) for method, settings in forms]
    if any(own.inputs.encoder is not None for recipe, _ in recipes for own in recipe.settings.values()):
        hint = 'Name it for the stack, and give the learner on = "encoder".'
        raise ManyLabelError(f"learner {found.method}", "no encoder of its own", "`inputs.encoder`", hint)
    return recipes[0][1]


_checked_once = cache(_checked)  # of learners whose recipes no file can change


@dataclass(eq=False)
class _Training:
    """One training of a stack.

    Attributes
    ----------
    method : StackingMethod
    rows : Rows
    groups : (n,) int64 array or None
    order : Order
    evidence : dict of learner to LearnerEvidence
        Of those that were left out.
    """

    method: StackingMethod
    rows: Rows
    groups: Array | None
    order: Order
    evidence: dict[str, LearnerEvidence] = field(default_factory=dict)
    refusals: list[ManyLabelError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = self.method.settings
        self.learners = self.settings.chosen(layout_of(self.rows.X))
        self.weights = _of_mean_1(self.rows)
        self.frequency = Frequency.of(self.rows.Y, self.weights)

    def without_folds(self) -> StackScorer:
        """All learners that take the rows, in their first form and with equal weights."""
        contest = self._contest(np.zeros(len(self.rows), dtype=np.int64))
        size, fitted = (len(self.rows), self.rows.Y.n_labels), {}
        for name, learner in self.learners.items():
            try:
                form = next(forms_of(name, learner, size, self._own_encoder(learner)))
                fitted[name] = contest.of(learner).final(form.method, name, form.label)
            except ManyLabelError as error:
                self._leave_out(name, learner.method, error)
                continue
            self.evidence[name] = LearnerEvidence(method=form.recipe)
        self._refuse_none(fitted)
        share = {
            name: LearnerEvidence(method=self.evidence[name].method, share=1 / len(fitted)) for name in fitted
        }
        self.evidence |= share
        return self._scorer(fitted, Stack.equal(len(fitted)), 0)

    def stacked(self, folds: Array) -> tuple[StackScorer, HeldOut]:
        """The stack, and the out-of-fold scores of its training rows."""
        contest = self._contest(folds)
        kept = np.flatnonzero(contest.kept)
        weights = None if self.weights is None else self.weights[kept]
        judge = Judge(self.rows.Y.take(kept), self.frequency, int(self.order.seed), weights)
        candidates = self._first_fold(contest, judge)
        candidates = self._within_budget(self._with_a_share(candidates, contest, judge), contest)
        candidates = self._other_folds(candidates, contest)
        scaled = {name: self._logits(one, contest) for name, one in candidates.items()}
        logits = {name: found for name, (found, _) in scaled.items()}
        stack, logits = self._learnt(candidates, logits, judge)
        without = judge.without_each(logits, stack)
        shares = stack.shares(judge.entries(list(logits.values())))
        for name, share in zip(logits, shares.tolist(), strict=True):
            self.evidence[name] = _told(candidates[name], share=share, without=without.get(name, {}))
        fitted = {name: self._final(candidates[name], contest) for name in logits}
        scores = stack.probabilities(list(logits.values()), self.frequency)
        how = f"cross-fitting over {contest.n_folds} folds"
        held_out = HeldOut(scores, judge.Y, folds[kept], how, kept, weights)
        if any(candidates[name].learner.standardised for name in logits):
            stack = replace(stack, spreads=tuple(scaled[name][1] for name in logits))
        return self._scorer(fitted, stack, contest.n_folds), held_out

    def _contest(self, folds: Array) -> CrossFit:
        n_folds, names = int(folds.max()) + 1, list(self.learners)
        stages = [f"{name} fold 1/{n_folds}" for name in names]
        stages += [f"{name} fold {fold + 1}/{n_folds}" for name in names for fold in range(1, n_folds)]
        stages += [f"{name} all rows" for name in names]
        kept = np.zeros(len(self.rows), dtype=bool)
        kept[most_rows(np.arange(len(self.rows)), self.rows.Y.n_labels)] = True
        mark = ""
        if self.order.folder is not None:
            told = f"{self.rows.X.kind} {self.order.seed} {folds.tolist()}"
            mark = fingerprint(told, self.method.encoder, self.rows)
        return CrossFit(self.rows, self.groups, folds, kept, self.order, mark, tuple(stages))

    def _first_fold(self, contest: CrossFit, judge: Judge) -> dict[str, Candidate]:
        """Every learner in the form that is best on the first fold."""
        candidates: dict[str, Candidate] = {}
        for name, learner in self.learners.items():
            try:
                chooser = Chooser(name, learner, contest.of(learner), judge, self._own_encoder(learner))
                candidates[name] = chooser.chosen()
            except ManyLabelError as error:
                self._leave_out(name, learner.method, error)
        self._refuse_none(candidates)
        return candidates

    def _with_a_share(
        self, candidates: dict[str, Candidate], contest: CrossFit, judge: Judge
    ) -> dict[str, Candidate]:
        """The learners that a stack of the first fold gives a share."""
        logits = [
            on_common_scale(one.learner, one.fits[0].scores, self.frequency)[0] for one in candidates.values()
        ]
        entries = judge.entries(logits, contest.places(0))
        shares = dict(zip(candidates, learn(entries).shares(entries).tolist(), strict=True))
        kept = {name: one for name, one in candidates.items() if shares[name] >= LEAST_FIRST}
        for name in candidates.keys() - kept.keys():
            why = f"its share of a stack on the first fold is {shares[name]:.3f}"
            brief = f"share {shares[name]:.3f} on the first fold"
            self.evidence[name] = _told(candidates[name], left_out=why, brief=brief)
        return kept

    def _within_budget(self, candidates: dict[str, Candidate], contest: CrossFit) -> dict[str, Candidate]:
        """The cheapest learners whose other folds fit into the budget, by the time that the first took."""
        spent = sum(found.seconds for found in self.evidence.values())
        spent += sum(one.seconds for one in candidates.values())
        kept: set[str] = set()
        room = self.settings.seconds(len(self.rows)) - spent
        for one in sorted(candidates.values(), key=lambda one: one.fits[0].seconds):
            more = contest.n_folds - 1 + (one.learner.final == "refit")
            room -= more * one.fits[0].seconds
            if kept and room < 0:
                minutes = self.settings.seconds(len(self.rows)) / 60
                why = f"its other folds would not end within the budget of {minutes:g} minutes"
                self.evidence[one.name] = _told(one, left_out=why, brief=f"budget of {minutes:g} minutes")
            else:
                kept.add(one.name)
        return {name: one for name, one in candidates.items() if name in kept}

    def _other_folds(self, candidates: dict[str, Candidate], contest: CrossFit) -> dict[str, Candidate]:
        """The learners that take every fold, trained on all."""
        done = {}
        for name, one in candidates.items():
            try:
                for fold in range(1, contest.n_folds):
                    one.add(contest.of(one.learner).fit(one.form.method, name, one.form.label, fold))
            except ManyLabelError as error:
                self._leave_out(name, one.form.recipe, error)
                continue
            done[name] = one
        self._refuse_none(done)
        return done

    def _logits(self, candidate: Candidate, contest: CrossFit) -> tuple[Array, Spread]:
        """Out-of-fold logits of the rows whose scores are kept, (m, n_labels) float32, and their spread before."""
        scores = np.zeros((int(contest.kept.sum()), self.rows.Y.n_labels), dtype=np.float32)
        for fold, fit in enumerate(candidate.fits):
            scores[contest.places(fold)] = fit.scores
        return on_common_scale(candidate.learner, scores, self.frequency)

    def _learnt(
        self, candidates: dict[str, Candidate], logits: dict[str, Array], judge: Judge
    ) -> tuple[Stack, dict[str, Array]]:
        """The stack of the learners that keep a share, and their logits."""
        entries = judge.entries(list(logits.values()))
        stack = learn(entries)
        shares = dict(zip(logits, stack.shares(entries).tolist(), strict=True))
        kept = {name: Z for name, Z in logits.items() if shares[name] >= LEAST_KEPT}
        for name in logits.keys() - kept.keys():
            why = f"its share of the stack is {shares[name]:.3f}"
            self.evidence[name] = _told(candidates[name], left_out=why, brief=f"share {shares[name]:.3f}")
        places = [m for m, name in enumerate(logits) if name in kept]
        return (stack if len(kept) == len(logits) else learn(entries.learners(places))), kept

    def _final(self, candidate: Candidate, contest: CrossFit) -> Scorer:
        """What scores new rows for a learner."""
        method, label = candidate.form.method, candidate.form.label
        contest = contest.of(candidate.learner)
        if candidate.learner.final == "refit":
            return contest.final(method, candidate.name, label)
        return EnsembleScorer(
            [
                fit.scorer or contest.scorer(method, candidate.name, label, fold)
                for fold, fit in enumerate(candidate.fits)
            ]
        )

    def _scorer(self, fitted: dict[str, Scorer], stack: Stack, n_folds: int) -> StackScorer:
        told = {name: self.evidence[name] for name in self.learners}
        evidence = StackEvidence(name=self.method.name, folds=n_folds, learners=told)
        rests_on = {name: self.learners[name].rests_on for name in fitted}
        networks = [name for name in fitted if self._is_network(told[name].method)]
        represents = (networks or list(fitted))[0]
        encoded = [name for name in fitted if self.learners[name].on == "encoder"]
        return StackScorer(fitted, rests_on, stack, self.frequency, evidence, represents, encoded)

    def _own_encoder(self, learner: Learner) -> nn.Module | None:
        """The caller's own, for rows as they are; a learner that says how wide its network is keeps that one."""
        keeps = learner.on == "encoder" or "widths" in learner.settings.get("encoder", {})
        return None if keeps else self.method.encoder

    def _is_network(self, recipe: str) -> bool:
        return issubclass(recipe_of(recipe, SINGLE, {})[1].method, NetworkTrainer)

    def _leave_out(self, name: str, recipe: str, error: ManyLabelError) -> None:
        """Go on without a learner; what is wrong with the folder is no fault of it."""
        if isinstance(error, files.Unusable):
            raise error
        self.refusals.append(error)
        self.evidence[name] = LearnerEvidence.refused(recipe, error)

    def _refuse_none(self, left: dict[str, Any]) -> None:
        """Raise the first refusal where no learner is left."""
        if not left:
            raise self.refusals[0]


def _told(candidate: Candidate, **facts: Any) -> LearnerEvidence:
    return LearnerEvidence(
        method=candidate.form.recipe,
        settings=candidate.chosen,
        rivals=candidate.rivals,
        seconds=candidate.seconds,
        **facts,
    )
