"""Commands of the stages of a training: pretrain, probe, finetune.

Each is a fit with settings of its own: a contrastive stage alone, an encoder that stays, or one that goes on learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from manylabel.cli import option_values
from manylabel.cli.fitting import ModelFolder, Validation, run_fit
from manylabel.cli.option_groups import LabelledRows, TrainingOptions, grouped
from manylabel.cli.options import OneMethod
from manylabel.errors import ManyLabelError

stages_app = typer.Typer()
DataFile = Annotated[
    str, typer.Argument(metavar="FILE", help="Rows with labels, as [cyan]manylabel fit[/] takes them.")
]
StartModel = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="Folder of a model, as pretrain, fit or a run writes it."),
]
ProbeMethod = Annotated[
    str | None,
    typer.Option(
        "--method",
        "-m",
        help="A name, a recipe file or an import path.",
        show_default="logistic_regression_cv on texts and pictures, else bce",
    ),
]
HELD_OUT = "0.1"
"""Share of the rows that chooses epochs and decisions where the encoder is what is wanted: no folds are trained."""
PretrainValidation = Annotated[
    str,
    typer.Option("--validation", help="Rows that are held out: a file like FILE, or a share of its rows."),
]


@stages_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel pretrain photos/ --out encoder[/]  then manylabel probe encoder photos/ --out model\n\n"
    "[cyan]manylabel pretrain films.csv --labels genres --text plot --out encoder[/]\n\n"
    "[cyan]manylabel pretrain photos/ --method reg --set pretrain.stage.epochs=100 --out encoder[/]"
)
@grouped
def pretrain(
    file: DataFile,
    rows: LabelledRows,
    training: TrainingOptions,
    out: ModelFolder = Path("encoder"),
    method: OneMethod = "mulsupcon",
    validation: PretrainValidation = HELD_OUT,
) -> None:
    """Train an encoder on the contrastive stage of a method alone, and write it into a folder.

    The folder is that of a model: a linear probe on the frozen encoder comes along and tells on held-out rows how good
    it is. Go on with [cyan]manylabel probe[/] or [cyan]manylabel finetune[/], on these rows or on others;
    [cyan]manylabel embed[/] writes what the encoder makes of rows.
    """
    _refuse_without_pretraining(method)
    _refuse_rate(training, method, "finetune trains an encoder on.")
    _fit({"classify.encoder_rate": 0}, rows.asked(file), training, method, validation, out)


@stages_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel probe encoder photos/ --out model[/]\n\n"
    "[cyan]manylabel probe encoder other.csv --labels topics --text body --out model[/]  other rows, other labels"
)
@grouped
def probe(
    model: StartModel,
    file: DataFile,
    rows: LabelledRows,
    training: TrainingOptions,
    out: ModelFolder = Path("model"),
    method: ProbeMethod = None,
    validation: Validation = None,
) -> None:
    """Train a linear classifier on the encoder of a model, which stays as it is.

    The rows may be others than those that the encoder was trained on, and have other labels; pictures of another size
    or colour are brought to those of the encoder. Any method will do: one that trains no encoder takes texts and
    pictures through it as vectors (short for [cyan]manylabel fit --encoder MODEL[/], and the folder of the encoder is
    needed to predict); of one that does the encoder is held fast (classify.encoder_rate=0) and copied.
    """
    method = method or _usual_probe(model)
    _refuse_encoder(training, method)
    _refuse_rate(training, method, "finetune trains the encoder on.")
    _fit(_from(model, 0, method), rows.asked(file), training, method, validation, out)


@stages_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel finetune encoder photos/ --out model[/]\n\n"
    "[cyan]manylabel finetune encoder photos/ --rate 0.01 --set classify.stage.epochs=10 --out model[/]"
)
@grouped
def finetune(
    model: StartModel,
    file: DataFile,
    rows: LabelledRows,
    training: TrainingOptions,
    out: ModelFolder = Path("model"),
    method: OneMethod = "bce",
    rate: Annotated[
        float,
        typer.Option("--rate", help="Learning rate of the encoder, as a multiple of the classifier's."),
    ] = 0.1,
    validation: Validation = None,
) -> None:
    """Train a classifier together with the encoder of a model, which goes on learning at a rate of its own.

    Short for fit with encoder.name=model, encoder.weights=MODEL and classify.encoder_rate=RATE; 0 would be a probe,
    and fit without a model trains from scratch.
    """
    _refuse_encoder(training, method)
    _refuse_rate(training, method, "Give it with --rate.")
    _fit(_from(model, rate, method), rows.asked(file), training, method, validation, out)


def _from(model: Path, rate: float, method: str) -> dict[str, Any]:
    from manylabel import methods
    from manylabel.methods import model_folder

    model_folder.read(model)  # refuses what is none before rows are read
    found = methods.start_from(model, method)
    return found if "inputs.encoder" in found and rate == 0 else {**found, "classify.encoder_rate": rate}


def _usual_probe(model: Path) -> str:
    """Logistic regression where an encoder makes vectors of rows, else the linear layer of a network."""
    from manylabel.methods import model_folder
    from manylabel.methods.model_encoder import ModelEncoder
    from manylabel.study.transfer import CLASSIFIER, PROBE

    return PROBE if model_folder.read(model)[0].input.kind in ModelEncoder.kinds else CLASSIFIER


def _fit(
    fixed: Mapping[str, Any],
    rows: Mapping[str, Any],
    training: TrainingOptions,
    method: str,
    validation: str | None,
    out: Path,
) -> None:
    """A fit with the settings of a stage beside those that are given."""
    settings = {**fixed, **_given(training, method)}
    run_fit(
        {**rows, "settings": settings, "validation": validation, "thresholds": "tuned"}, training, method, out
    )


def _given(training: TrainingOptions, method: str) -> dict[str, Any]:
    return option_values.settings(training.settings or [], [method]).get(method, {})


def _refuse_rate(training: TrainingOptions, method: str, hint: str) -> None:
    """Refuse a learning rate of the encoder where the command itself sets it."""
    named = [name for name in _given(training, method) if f".{name}".endswith(".classify.encoder_rate")]
    if named:
        raise ManyLabelError("`settings`", "no rate of the encoder, which the command sets", named[0], hint)


def _refuse_encoder(training: TrainingOptions, method: str) -> None:
    """Refuse another encoder than that of the model."""
    from manylabel.study.cell import encoder_settings

    given = _given(training, method)
    named = encoder_settings(given) + [name for name in given if f".{name}".endswith(".inputs.encoder")]
    if named:
        hint = "Leave it out, or take another model."
        raise ManyLabelError("`settings`", "none of the encoder, which is that of the model", named[0], hint)


def _refuse_without_pretraining(method: str) -> None:
    from manylabel import methods

    found = methods.get(method).recipe
    if not any(getattr(own, "pretrain", None) is not None for own in found.settings.values()):
        hint = "Take one such as mulsupcon, reg or supcon, or train it with fit."
        raise ManyLabelError("`method`", "a method with a contrastive stage of its own", method, hint)
