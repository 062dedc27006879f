"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Protocol(StrEnum):
    """How thresholds are chosen."""

    learnt = "learnt"
    tuned = "tuned"
    fixed = "fixed"
    oracle = "oracle"


COMPARED = "best,bce,mulsupcon,logistic_regression_cv,extra_trees"
"""What a run compares by default: what the project recommends, two networks, and what people pick in seconds."""

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", envvar="MANYLABEL_DATA", help="Folder with local copies of data sets, one folder a set."
    ),
]
ReaderSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--read",
        help="A setting of the reader, such as [cyan]side=224[/] of pictures; may be given several times.",
        show_default=False,
    ),
]
ProtocolOption = typer.Option(
    "--protocol",
    help="How thresholds are chosen: [bold]learnt[/] on held-out training rows, for each metric the kind that suits "
    "it; [bold]tuned[/] there too, one for all labels among 0.1 ... 0.9; [bold]fixed[/] at 0.5; "
    "[bold]oracle[/] on the test rows themselves, only to compare with published tables that did so.",
)
Methods = Annotated[
    str,
    typer.Option(
        "--methods",
        "-m",
        help="Methods to compare, comma-separated: names (see [cyan]manylabel methods list[/]), recipe files "
        "(.toml), or scikit-learn classifiers by import path (sklearn.svm.LinearSVC). Brackets hold settings that "
        "differ: 'mulsupcon\\[pretrain.temperature=0.2]'.",
    ),
]
OneMethod = Annotated[str, typer.Option("--method", "-m", help="A name, a recipe file or an import path.")]
OneSeed = Annotated[int, typer.Option("--seed", "-s", help="Of everything that is drawn.")]
Seeds = Annotated[
    str,
    typer.Option(
        "--seeds",
        "-s",
        help="How many seeds (3 means 0, 1 and 2), or the seeds themselves (0,7). A seed drives the "
        "validation split, initialisation, the order of rows and augmentation.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Replace a setting of the recipes, as NAME=VALUE for all methods or METHOD.NAME=VALUE for "
        "one; may be given several times.",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        help="Runs made at the same time; results do not depend on it.",
        show_default="one per core, or 1 on a GPU",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Train on the workers of a Dask cluster, by the address of its scheduler such as tcp://host:8786; the "
        "workers see the data and the folder of the results.",
        show_default="processes of this machine",
    ),
]
Fraction = Annotated[
    float,
    typer.Option(
        "--fraction",
        help="Train on a share of the training rows, stratified by label, validation rows taken out of it; "
        "with one seed, a smaller share lies inside a larger one.",
    ),
]
WrongLabels = Annotated[
    float,
    typer.Option(
        "--wrong-labels",
        help="Move a share of every label's training rows to rows that do not carry it, drawn by the seed: "
        "what is left of the scores when annotators err.",
    ),
]
RandomSplit = Annotated[
    int | None,
    typer.Option(
        "--split",
        help="Draw a fifth of all rows as test rows by this number, as scikit-learn's train_test_split does.",
        show_default="the published test rows",
    ),
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--start",
        help="Folder of a method of another run, such as runs/scene/mulsupcon: start from the encoder of its model "
        "with the same seed. Freeze it with --set classify.encoder_rate=0, fine-tune it with 0.1.",
        show_default="from scratch",
    ),
]
Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        help="Tell trackers of every epoch and of the final metrics, comma-separated: [bold]csv[/], "
        "[bold]tensorboard[/] or [bold]mlflow[/]; below OUT/tracking.",
    ),
]
Threads = Annotated[int, typer.Option("--threads", help="Threads of each run.")]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Frozen encoder through which texts or pictures go once, so that every method takes them as vectors: the "
        "folder of a Hugging Face encoder or of static embeddings, a name on the hub, [bold]wordllama[/] or "
        "[bold]minilm[/]; of pictures a name such as resnet50. Short for --set inputs.encoder=ENCODER.",
        show_default="rows as they are",
    ),
]
