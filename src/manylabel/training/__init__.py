"""One training loop for every method: stages as data, progress, checkpoints that resume bit for bit, ranks."""

from manylabel.training.distributed import Ranks, joined
from manylabel.training.divergence import Diverged
from manylabel.training.loop import Loop
from manylabel.training.progress import Listener, Progress
from manylabel.training.run import Run
from manylabel.training.sampling import divide
from manylabel.training.sharding import ShardedParameters, sharded
from manylabel.training.stage import EarlyStop, Group, LastStage, Stage, Task

__all__ = [
    "Diverged",
    "EarlyStop",
    "Group",
    "LastStage",
    "Listener",
    "Loop",
    "Progress",
    "Ranks",
    "Run",
    "ShardedParameters",
    "Stage",
    "Task",
    "divide",
    "joined",
    "sharded",
]
