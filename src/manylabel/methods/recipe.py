"""Recipes: how a method is trained, as data, with what to expect of it."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manylabel.data.dataset import Kind
from manylabel.errors import ManyLabelError
from manylabel.training import Stage


class Model(BaseModel):
    """Settings that refuse unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderSettings(Model):
    """Which network makes the representation.

    Attributes
    ----------
    name : "mlp", "small_resnet" or "resnet50"
    widths : tuple of int, or None
        Sizes of the layers (``mlp``) or maps of the stages (``small_resnet``); None takes the network's own default.
    dropout : float, default 0.2
        Of the ``mlp``.
    """

    name: Literal["mlp", "small_resnet", "resnet50"] = "mlp"
    widths: tuple[int, ...] | None = None
    dropout: float = Field(0.2, ge=0, lt=1)


class ViewSettings(Model):
    """How rows are disturbed in training.

    Attributes
    ----------
    mask : float, default 0
        Vectors: the probability of each feature to be set to 0 after standardisation.
    crop : float, default 1
        Images: the smallest share of the picture's area that a random crop keeps; 1 does not crop.
    flip : bool, default False
        Images: mirror at random.
    jitter : float, default 0
        Images: strength of random changes of brightness and contrast (and of saturation and hue of coloured ones).
    greyscale : float, default 0
        Coloured images: the probability of losing the colour.
    """

    mask: float = Field(0.0, ge=0, lt=1)
    crop: float = Field(1.0, gt=0, le=1)
    flip: bool = False
    jitter: float = Field(0.0, ge=0)
    greyscale: float = Field(0.0, ge=0, le=1)


class PretrainSettings(Model):
    """Contrastive pretraining.

    Attributes
    ----------
    stage : Stage
    views : ViewSettings
    temperature : float, default 0.1
    queue : int, default 256
        Keys kept beside those of the batch; 0 for none.
    momentum : float, default 0.999
        Of the key encoder.
    dim : int, default 256
        Size of the embedding that enters the loss.
    """

    stage: Stage
    views: ViewSettings = ViewSettings()
    temperature: float = Field(0.1, gt=0)
    queue: int = Field(256, ge=0)
    momentum: float = Field(0.999, ge=0, le=1)
    dim: int = Field(256, ge=1)


class ClassifySettings(Model):
    """Training of the classifier, with the encoder or on top of it.

    Attributes
    ----------
    stage : Stage
    views : ViewSettings
    encoder_rate : float, default 1
        Learning rate of the encoder as a multiple of the classifier's; 0 freezes the encoder (a linear probe).
    """

    stage: Stage
    views: ViewSettings = ViewSettings()
    encoder_rate: float = Field(1.0, ge=0)


class Settings(Model):
    """All settings of one kind of data.

    Attributes
    ----------
    encoder : EncoderSettings
    pretrain : PretrainSettings or None
        None for methods that train end to end.
    classify : ClassifySettings
    """

    encoder: EncoderSettings = EncoderSettings()
    pretrain: PretrainSettings | None = None
    classify: ClassifySettings


class Expected(Model):
    """What a recipe reached when it was last measured.

    Attributes
    ----------
    data : str
    protocol : "tuned", "fixed" or "oracle"
    seeds : int
        Number of seeds that the values are means of.
    minutes : float
        Of training, for one seed on one core of a laptop.
    values : dict of metric to (mean, standard deviation over the seeds)
    """

    data: str
    protocol: Literal["tuned", "fixed", "oracle"]
    seeds: int
    minutes: float
    values: dict[str, tuple[float, float]]


class Recipe(Model):
    """A method with everything that decides how it is trained.

    Attributes
    ----------
    name : str
    family : "logit" or "contrastive"
        Which code trains it.
    loss : str
        Of the pretraining (``contrastive``) or of the classifier (``logit``).
    about : str
        One or two sentences.
    source : str
        Where the method comes from.
    vectors, images : Settings
    expected : tuple of Expected
    """

    name: str
    family: Literal["logit", "contrastive"]
    loss: str
    about: str
    source: str
    vectors: Settings
    images: Settings
    expected: tuple[Expected, ...] = ()

    def settings(self, kind: Kind) -> Settings:
        """The settings for data of one kind."""
        return self.images if kind == "images" else self.vectors


def names() -> tuple[str, ...]:
    """The recipes that ship with the library, alphabetically."""
    files = resources.files("manylabel.methods").joinpath("recipes").iterdir()
    return tuple(sorted(file.name[:-5] for file in files if file.name.endswith(".toml")))


def load(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe and change some of its settings.

    Parameters
    ----------
    name : str
    overrides : dict, optional
        Dotted setting to value, such as ``{"classify.stage.epochs": 5}``; it changes both ``vectors`` and ``images``,
        or one of them if the name starts with it (``"vectors.pretrain.temperature"``).

    Raises
    ------
    ManyLabelError
        For an unknown recipe or setting, or a value that the setting does not take.
    """
    if name not in names():
        raise ManyLabelError("method", f"one of {', '.join(names())}", repr(name))
    text = (
        resources.files("manylabel.methods").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
    )
    table = {"name": name} | tomllib.loads(text)
    for setting, value in (overrides or {}).items():
        _override(table, name, setting, value)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ManyLabelError(
            f"method {name}, {place}", str(first["msg"]).lower(), repr(first.get("input"))
        ) from None


def _override(table: dict[str, Any], name: str, setting: str, value: Any) -> None:
    head, _, rest = setting.partition(".")
    places = [(head, rest)] if head in ("vectors", "images") else [("vectors", setting), ("images", setting)]
    for kind, path in places:
        *parents, last = path.split(".")
        node = table[kind]
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                raise _unknown(name, setting, table[kind])
            node = node[parent]
        if last not in node and not _declared(path):
            raise _unknown(name, setting, table[kind])
        node[last] = value


def _declared(path: str) -> bool:
    """Whether the settings have a field at this dotted path, given in the recipe or left at its default."""
    model: Any = Settings
    for part in path.split("."):
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return False
        kinds = getattr(field.annotation, "__args__", (field.annotation,))
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
    return True


def _unknown(name: str, setting: str, settings: dict[str, Any]) -> ManyLabelError:
    return ManyLabelError(f"method {name}", f"a setting such as {', '.join(_paths(settings))}", repr(setting))


def _paths(settings: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in settings.items():
        found += _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return found
