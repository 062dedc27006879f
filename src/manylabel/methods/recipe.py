"""Recipes: how a method is trained, as data, with what to expect of it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from manylabel.models.inputs import ViewSettings
from manylabel.training import Stage

KINDS: tuple[Literal["vectors", "images"], ...] = ("vectors", "images")


class Model(BaseModel):
    """Settings that refuse unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Widths: TypeAlias = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
"""Sizes of the layers of a network, at least one."""


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
    widths: Widths | None = None
    dropout: float = Field(0.2, ge=0, lt=1)


class ClassifySettings(Model):
    """Training of the classifier, with the encoder or on top of it.

    Attributes
    ----------
    stage : Stage
    views : ViewSettings
    encoder_rate : float, default 1
        Learning rate of the encoder as a multiple of the classifier's; 0 freezes the encoder (a linear probe).
    loss : dict
        Settings of the classifier's loss, such as ``gamma_neg`` of ASL; the others stay at their defaults.
    """

    stage: Stage
    views: ViewSettings = ViewSettings()
    encoder_rate: float = Field(1.0, ge=0)
    loss: dict[str, bool | float | str] = {}


class NeighbourSettings(Model):
    """How the nearest training rows have a say in the probabilities.

    Attributes
    ----------
    among : "features", "representation" or None, default None
        Where rows are near. None stands for the features of vectors, and for the representation of pictures, whose near
        pixels are not near pictures. Comparators have no representation of their own and always take the features.
    k : int, default 15
        Rows that have a say.
    temperature : float, default 0.1
        They weigh ``softmax(cosine / temperature)``.
    weight : float, default 0.5
        Share of their say in the mean with what the method itself finds.
    """

    among: Literal["features", "representation"] | None = None
    k: int = Field(15, ge=1)
    temperature: float = Field(0.1, gt=0)
    weight: float = Field(0.5, ge=0, le=1)


class KindSettings(Model):
    """What every method can be told for one kind of data.

    Attributes
    ----------
    neighbours : NeighbourSettings or None, default None
        Average the probabilities with those of the nearest training rows.
    """

    neighbours: NeighbourSettings | None = None


class NoSettings(Model):
    """Settings for a kind of data that a method is not defined for."""


class Settings(KindSettings):
    """All settings of one kind of data.

    Attributes
    ----------
    encoder : EncoderSettings
    classify : ClassifySettings
    """

    encoder: EncoderSettings = EncoderSettings()
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


class AnyRecipe(Model):
    """A method with everything that decides how it is trained; each family adds its own settings.

    Attributes
    ----------
    name : str
    family : str
        Which code trains it.
    about : str
        One or two sentences.
    source : str
        Where the method comes from.
    members : int, default 1
        How many are trained, from different seeds; their probabilities are averaged.
    expected : tuple of Expected
    vectors, images : KindSettings
    """

    name: str
    family: str
    about: str
    source: str
    members: int = Field(1, ge=1)
    expected: tuple[Expected, ...] = ()
    vectors: KindSettings
    images: KindSettings | NoSettings

    def settings(self, kind: str) -> KindSettings | NoSettings:
        """The settings for data of one kind."""
        return self.images if self.kind_of(kind) == "images" else self.vectors

    @staticmethod
    def kind_of(kind: str) -> Literal["vectors", "images"]:
        """The section of the settings for data of one kind."""
        return "images" if kind == "images" else "vectors"

    def neighbours(self, kind: str) -> NeighbourSettings | None:
        """Those that have a say on data of one kind."""
        settings = self.settings(kind)
        return settings.neighbours if isinstance(settings, KindSettings) else None

    def check(self, kind: str) -> None:
        """Refuse settings that cannot be trained together on data of one kind; families that have such say which.

        Raises
        ------
        ManyLabelError
            Names the kind of data, what was expected and the setting.
        """

    @property
    def summary(self) -> str:
        """The first sentence of ``about``."""
        return self.about.partition(". ")[0].removesuffix(".")


class Recipe(AnyRecipe):
    """A recipe of an encoder with a classifier.

    Attributes
    ----------
    loss : str
        Of the classifier in the family "logit", of the contrast in the family "contrastive".
    vectors, images : Settings
    """

    loss: str
    vectors: Settings
    images: Settings

    def settings(self, kind: str) -> Settings:
        """The settings for data of one kind."""
        return self.images if self.kind_of(kind) == "images" else self.vectors


class VectorViewSettings(Model):
    """How rows are disturbed in training.

    Attributes
    ----------
    mask : float, default 0
        The probability of each feature to be set to 0 after standardisation.
    """

    mask: float = Field(0.0, ge=0, lt=1)


class VectorTraining(Model):
    """Training of a network that makes the scores of all labels itself.

    Attributes
    ----------
    stage : Stage
    views : VectorViewSettings
    """

    stage: Stage
    views: VectorViewSettings = VectorViewSettings()


class VectorSettings(KindSettings):
    """Settings of a method that is defined for feature vectors only.

    Attributes
    ----------
    standardise : bool, default True
        Take mean and scale of the training rows out of the features; the released codes take them as they are.
    network : Model
        Each family declares its own.
    classify : VectorTraining
    """

    standardise: bool = True
    network: Model
    classify: VectorTraining


class VectorRecipe(AnyRecipe):
    """A recipe of a method that is defined for feature vectors only; each family declares its own settings.

    Attributes
    ----------
    vectors : VectorSettings
    images : NoSettings
    """

    vectors: VectorSettings
    images: NoSettings = NoSettings()
