"""An MLflow run of a training, in an SQLite file or on the server that the environment names."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manylabel.training.trackers.base import Record, Tracker, Values, defined, measured

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_TAG = "manylabel.run"
_AT_ONCE = 1000  # metrics that a server takes in one call
_LONGEST = 6000  # letters of a parameter


class MLflowTracker(Tracker):
    """Finds its run by a tag again, so that a training that is taken up goes on in the same run."""

    def __init__(self, folder: Path, run: str) -> None:
        super().__init__(folder, run)
        first, _, rest = run.partition("/")
        self.experiment, self.run_name = (first, rest) if rest else ("manylabel", run)
        self._logged: set[tuple[str, int]] = set()

    def write_epoch(self, record: Record) -> None:
        self._log(self._metrics(record))

    def write_all(self, values: Values, parameters: Mapping[str, Any]) -> None:
        known = self._client.get_run(self._id).data.params
        for name, value in parameters.items():
            if name not in known:
                self._client.log_param(self._id, name, str(value)[:_LONGEST])
        for record in self.records.values():
            self._log(self._metrics(record))
        self._log(
            self._metric(f"{protocol}/{metric}", value, 0) for protocol, metric, value in defined(values)
        )
        self._client.set_terminated(self._id)

    @cached_property
    def _client(self) -> MlflowClient:
        # MLflow tells its makers of each use otherwise; whoever wants that sets the variable.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        here = f"sqlite:///{(self.folder / 'mlflow.db').resolve()}"
        return MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or here)

    @cached_property
    def _id(self) -> str:
        """Of the run in MLflow, which is made where it is not there yet."""
        found = self._client.get_experiment_by_name(self.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self.experiment)
        tag = hashlib.sha256(f"{self.folder.resolve()}\n{self.run}".encode()).hexdigest()
        runs = self._client.search_runs([experiment], f"tags.`{_TAG}` = '{tag}'")
        if not runs:
            run = self._client.create_run(experiment, tags={_TAG: tag}, run_name=self.run_name)
            return str(run.info.run_id)
        identity = str(runs[0].info.run_id)
        for name in runs[0].data.metrics:
            self._logged |= {(m.key, m.step) for m in self._client.get_metric_history(identity, name)}
        return identity

    def _log(self, metrics: Iterator[Metric]) -> None:
        identity = self._id  # first, as it knows what is logged already
        new = [metric for metric in metrics if (metric.key, metric.step) not in self._logged]
        for start in range(0, len(new), _AT_ONCE):
            self._client.log_batch(identity, metrics=new[start : start + _AT_ONCE])
        self._logged |= {(metric.key, metric.step) for metric in new}

    def _metrics(self, record: Record) -> Iterator[Metric]:
        for name, value in measured(record).items():
            yield self._metric(f"{record['stage']}/{name}", value, record["epoch"])

    def _metric(self, name: str, value: float, step: int) -> Metric:
        from mlflow.entities import Metric

        return Metric(name, value, int(time.time() * 1000), step)
