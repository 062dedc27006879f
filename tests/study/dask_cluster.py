"""A real Dask cluster on this machine, whose workers run in a folder of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Cluster:
    """A scheduler and two workers, each a process of its own below a nanny that starts it again."""

    def __init__(self, folder: Path) -> None:
        paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OMP_NUM_THREADS": "1",
            "MANYLABEL_TEST_KILLS": str(folder / "deaths.txt"),
        }
        self.folder, self.deaths = folder, folder / "deaths.txt"
        file = folder / "scheduler.json"
        no_page = ["--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *no_page)
        while not file.exists():
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        alone = ["--nworkers", "1", "--nthreads", "1", "--local-directory", str(folder)]
        self.workers = [self._start("dask_worker", *no_page, *alone) for _ in range(2)]
        time.sleep(0.1)
        self.address = json.loads(file.read_text())["address"]

    def _start(self, command: str, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{command}-{time.monotonic_ns()}.log").open("wb")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", *words],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
