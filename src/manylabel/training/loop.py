"""The training loop: steps, schedules, averages, early stopping, checkpoints; one process or several."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError, NotFinite
from manylabel.training import checkpoint
from manylabel.training.batch_norm import synchronise
from manylabel.training.checkpoint import Tensors, prefixed, under
from manylabel.training.distributed import Ranks
from manylabel.training.divergence import Diverged, Sighting, Watch, diverged
from manylabel.training.progress import Progress
from manylabel.training.sampling import divide, order_by_carriers
from manylabel.training.schedules import Plateau, factor
from manylabel.training.sharding import is_in_parts, load_state, whole_state, whole_tensors
from manylabel.training.stage import Group, Stage, Task

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Loop:
    """One stage of training from its first step to its last.

    The order of the rows depends on ``seed`` and the epoch alone; views and dropout draw from torch's default
    generator, whose state is part of :meth:`state`. A loop that loads the state of another goes on as that one would
    have, bit for bit on a CPU.

    Parameters
    ----------
    name : str
        Of the stage, for errors and records.
    task : Task
    stage : Stage
    seed : int
    ranks : Ranks
    kept_at : Path or None, default None
        Where states are kept, for errors.

    Raises
    ------
    Diverged
        At the step whose loss is NaN or infinite, whose gradient has no finite norm, or at which float16 has lost its
        gradient scale; a GPU is some steps further by then. The network is that before the step, on a CPU.
    """

    def __init__(
        self, name: str, task: Task, stage: Stage, seed: int, ranks: Ranks, kept_at: Path | None = None
    ) -> None:
        self.division = divide(stage, task.n_rows, ranks.world, name)
        self.name, self.task, self.stage, self.seed, self.ranks = name, task, stage, seed, ranks
        self.kept_at = kept_at
        synchronise(task.module, stage.sync_batch_norm)
        self._follow_first()
        self._check_shards()
        self.vectors = [vector for group in task.groups for vector in group.parameters.vectors]
        self.device = self.vectors[0].device
        self.optimiser = _optimiser(task, stage)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=stage.precision == "float16")
        self.watch = Watch(self.device)
        self.averages = [v.detach().clone() for v in self.vectors] if stage.ema else []
        self.plateau = Plateau()
        self.steps_per_epoch = self.division.steps
        self.monitor_every = stage.monitor_every or stage.usual_monitor_every
        self.epoch, self.step_in_epoch = 0, 0
        self.best: Tensors = {}
        self.best_value, self.best_epoch = math.inf, -1
        self.monitored: dict[str, float] = {}
        self.loss_sum = torch.zeros((), device=self.device)
        self.last_loss = math.nan  # mean of the epoch before
        self.seconds = 0.0

    @property
    def step(self) -> int:
        """Steps done."""
        return self.epoch * self.steps_per_epoch + self.step_in_epoch

    @property
    def steps(self) -> int:
        """Steps that the schedule is made for."""
        return self.stage.epochs * self.steps_per_epoch

    @property
    def done(self) -> bool:
        patience = self.stage.patience
        tired = patience is not None and self.best_epoch >= 0 and self.epoch - 1 - self.best_epoch >= patience
        return self.epoch >= self.stage.last_epoch or tired

    def progress(self, stages: tuple[str, ...]) -> Progress:
        loss = float(self.loss_sum) / self.step_in_epoch if self.step_in_epoch else self.last_loss
        last = self.stage.last_epoch
        epoch, steps = min(self.epoch + 1, last), last * self.steps_per_epoch
        return Progress(self.name, stages, epoch, last, self.step, steps, loss, self.monitored)

    def run(self) -> Iterator[dict[str, Any] | None]:
        """Train; yields after each step, the record of the epoch after its last one and None otherwise."""
        while not self.done:
            began = time.perf_counter() - self.seconds
            order = self._order()
            for start in range(self.step_in_epoch, self.steps_per_epoch):
                self._train_step(self._batch(order, start))
                self.step_in_epoch = start + 1
                self.seconds = time.perf_counter() - began
                if self.step_in_epoch < self.steps_per_epoch:
                    yield None
                    began = time.perf_counter() - self.seconds
            record = self._end_epoch()
            self.seconds = time.perf_counter() - began
            yield record | {"seconds": round(self.seconds, 3)}
        self._finish()

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """All that decides how training goes on: tensors, and facts that fit in JSON."""
        self._stop_if(self.watch.look())
        tensors = prefixed("module", whole_state(self.task.module))
        tensors |= prefixed("best", whole_tensors(self.best))
        for i, group in enumerate(self.task.groups):
            tensors |= prefixed(f"optimiser.{i}", self._optimiser_state(group))
        tensors |= {f"average.{i}": average for i, average in enumerate(self._by_group(self.averages))}
        tensors["loss_sum"] = self.loss_sum
        for name, state in checkpoint.random_state().items():
            tensors[f"random.{name}"] = self.ranks.gather(state[None].to(self.device)).cpu()
        names = ("epoch", "step_in_epoch", "best_value", "best_epoch", "last_loss", "monitored", "seconds")
        facts = {name: getattr(self, name) for name in names}
        return tensors, facts | {"plateau": self.plateau.state, "scaler": self.scaler.state_dict()}

    def load(self, tensors: Tensors, facts: dict[str, Any]) -> None:
        """Continue from a :meth:`state`."""
        load_state(self.task.module, under("module", tensors))
        self.best = under("best", tensors)
        for i, group in enumerate(self.task.groups):
            self._load_optimiser_state(group, under(f"optimiser.{i}", tensors))
        for average, part in zip(self.averages, self._parts("average", tensors), strict=False):
            average.copy_(part)
        self.loss_sum.copy_(tensors["loss_sum"])
        facts = dict(facts)
        self.plateau.state = facts.pop("plateau")
        self.scaler.load_state_dict(facts.pop("scaler"))
        for name, value in facts.items():
            setattr(self, name, value)
        checkpoint.set_random_state({k: v[self.ranks.rank] for k, v in under("random", tensors).items()})

    def _optimiser_state(self, group: Group) -> Tensors:
        """What the optimiser keeps of the parameters of a group, each as one vector; nothing before the first step."""
        states = [self.optimiser.state[vector] for vector in group.parameters.vectors]
        kept = {k for k, v in states[0].items() if isinstance(v, Tensor)} if states else set()
        return {
            k: states[0][k] if k == "step" else group.parameters.whole([state[k] for state in states])
            for k in sorted(kept)
        }

    def _load_optimiser_state(self, group: Group, kept: Tensors) -> None:
        vectors = group.parameters.vectors
        for k, v in kept.items():
            parts = [v.clone() for _ in vectors] if k == "step" else group.parameters.parts(v.to(self.device))
            for vector, part in zip(vectors, parts, strict=True):
                self.optimiser.state[vector][k] = part

    def _by_group(self, numbers: list[Tensor]) -> Iterator[Tensor]:
        """One vector a group, of numbers for each of ``vectors``; nothing of none."""
        left = iter(numbers)
        for group in self.task.groups if numbers else ():
            yield group.parameters.whole([next(left) for _ in group.parameters.vectors])

    def _parts(self, prefix: str, tensors: Tensors) -> Iterator[Tensor]:
        """Numbers for each of ``vectors``, of one vector a group."""
        for i, group in enumerate(self.task.groups if self.averages else ()):
            yield from group.parameters.parts(tensors[f"{prefix}.{i}"].to(self.device))

    def _check_shards(self) -> None:
        """Refuse to shard what is not in parts, and what does not go with it."""
        stage, who = self.stage, f"stage {self.name}, shard"
        if not stage.shard or self.ranks.world == 1:
            return
        if stage.compile or stage.precision == "float16":
            other = "compile" if stage.compile else "precision float16"
            raise ManyLabelError(who, f"a stage without {other}", other, "Leave one of the two out.")
        if not any(group.parameters.sharded for group in self.task.groups):
            expected = (
                "a trained encoder below a classifier, or one that is pretrained without a momentum copy"
            )
            hint = "Set pretrain.candidates to batch or views, or leave shard out."
            raise ManyLabelError(who, expected, "another training", hint)

    def _order(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        drawn = self.task.windows(generator)
        if self.stage.carriers is None:
            return torch.cat(drawn)
        if self.task.labels is None:
            hint = "Leave carriers out."
            raise ManyLabelError(f"stage {self.name}, carriers", "a task with labels", "one without", hint)
        return order_by_carriers(self.task.labels, self.division, self.stage.carriers, drawn)

    def _batch(self, order: Tensor, step: int) -> Tensor:
        rows = order[self.division.span(step)]
        return rows[self.ranks.rank :: self.ranks.world].to(self.device)

    def _train_step(self, rows: Tensor) -> None:
        self._set_rates()
        for vector in self.vectors:
            vector.grad.zero_()  # type: ignore[union-attr]
        try:
            with self._autocast():
                loss = self.task.loss(rows)
        except NotFinite as error:
            raise self._diverged(self.step_in_epoch, error.expected, error.got) from error
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        gradients = [_gradient(vector) for vector in self.vectors]
        for gradient in self._gradients(False):  # still scaled, so that all ranks skip a step or none does
            self.ranks.mean_(gradient)
        skipped = self.scaler.is_enabled() and not all(bool(g.isfinite().all()) for g in gradients)
        self.scaler.unscale_(self.optimiser)
        norm = self._clip(gradients)
        seen = Sighting(
            self.step_in_epoch,
            loss.detach(),
            torch.zeros_like(norm) if skipped else norm,
            self.scaler.get_scale(),
        )
        self._stop_if(self.watch.see(seen))
        self.scaler.step(self.optimiser)
        self.scaler.update()
        for average, vector in zip(self.averages, self.vectors, strict=False):
            average.lerp_(vector.detach(), 1 - self._decay())
        self.loss_sum += loss.detach()

    def _decay(self) -> float:
        """Of the average: at the start lower, so that the initial weights, which are random, are forgotten."""
        ema = self.stage.ema or 0.0
        return min(ema, (1 + self.step) / (10 + self.step)) if self.stage.ema_rising else ema

    def _set_rates(self) -> None:
        s = self.stage
        share = factor(
            s.schedule,
            self.step,
            self.steps,
            warmup=s.warmup,
            floor=s.floor,
            period=s.period * self.steps_per_epoch,
            decay=s.decay,
        )
        for settings, group in zip(self.optimiser.param_groups, self.task.groups, strict=True):
            settings["lr"] = s.lr * group.rate * share * self.plateau.factor

    def _clip(self, gradients: list[Tensor]) -> Tensor:
        """The norm of the gradient, of which no more than ``clip`` is left."""
        norms = [gradient.norm() for gradient in self._gradients(False)]
        if in_parts := self._gradients(True):
            own = torch.stack([gradient.norm() for gradient in in_parts]).norm()
            norms.append(self.ranks.sum(own.square()).sqrt())
        norm: Tensor = torch.stack(norms).norm()
        if self.stage.clip is not None:
            scale = (self.stage.clip / (norm + 1e-12)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(scale)
        return norm

    def _gradients(self, sharded: bool) -> list[Tensor]:
        """Those of parameters in parts, which are means over the ranks as they are; or of the others."""
        groups = (group for group in self.task.groups if group.parameters.sharded == sharded)
        return [_gradient(vector) for group in groups for vector in group.parameters.vectors]

    def _stop_if(self, trouble: tuple[int, str, str] | None) -> None:
        if trouble is not None:
            raise self._diverged(*trouble)

    def _diverged(self, step: int, expected: str, got: str) -> Diverged:
        """The error for a step of this epoch, with the rows of all ranks."""
        rows = self._order()[self.division.span(step)].tolist()
        kept = str(self.kept_at) if self.kept_at is not None and self.kept_at.exists() else ""
        return diverged(self.name, self.epoch + 1, step + 1, expected, got, rows, kept)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.stage.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, PRECISIONS[self.stage.precision])

    def _end_epoch(self) -> dict[str, Any]:
        self._stop_if(self.watch.look())
        loss = float(self.ranks.mean_(self.loss_sum)) / self.steps_per_epoch
        self.loss_sum.zero_()
        self.last_loss = loss
        self._follow_first()
        rate = float(self.optimiser.param_groups[0]["lr"])
        self.epoch, self.step_in_epoch = self.epoch + 1, 0
        last = self.epoch == self.stage.last_epoch
        measured = self._monitor() if last or self.epoch % self.monitor_every == 0 else {}
        record = {"stage": self.name, "epoch": self.epoch, "step": self.step, "loss": loss, "lr": rate}
        return record | {"monitor": measured}

    def _follow_first(self) -> None:
        """Weights drawn and running statistics kept by the first rank, on every rank."""
        if self.ranks.world > 1:
            for tensor in self.task.module.state_dict().values():
                if not is_in_parts(tensor):
                    self.ranks.copy_first_(tensor)

    def _monitor(self) -> dict[str, float]:
        with self._averaged(), torch.no_grad():
            self.monitored = self.task.monitor()
            select = self.stage.select
            if select is not None:
                value = self._selected(select)
                if value < self.best_value:
                    self.best_value, self.best_epoch = value, self.epoch - 1
                    self.best = {k: v.detach().clone() for k, v in self.task.module.state_dict().items()}
        if self.stage.schedule == "plateau":
            self.plateau.update(self.monitored["loss"])
        return self.monitored

    def _selected(self, select: str) -> float:
        if select not in self.monitored:
            known = ", ".join(sorted(self.monitored))
            raise ManyLabelError(f"stage {self.name}", f"select to be one of {known}", repr(select))
        return self.monitored[select] if select == "loss" else -self.monitored[select]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged parameters in place of the current ones, where an average is kept."""
        current = [v.detach().clone() for v in self.vectors] if self.averages else []
        for vector, average in zip(self.vectors, self.averages, strict=False):
            vector.detach().copy_(average)
        yield
        for vector, values in zip(self.vectors, current, strict=False):
            vector.detach().copy_(values)

    def _finish(self) -> None:
        if self.best:
            load_state(self.task.module, self.best)
        else:
            for vector, average in zip(self.vectors, self.averages, strict=False):
                vector.detach().copy_(average)


def _gradient(vector: nn.Parameter) -> Tensor:
    assert vector.grad is not None
    return vector.grad


def _optimiser(task: Task, stage: Stage) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = []
    usual = stage.weight_decay + stage.l2_per_row / task.n_rows
    for group in task.groups:
        weight_decay = usual if group.weight_decay is None else group.weight_decay
        groups.append({"params": group.parameters.vectors, "weight_decay": weight_decay})
    if stage.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=stage.lr, momentum=0.9)
    kind = torch.optim.AdamW if stage.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=stage.lr, fused=True)
