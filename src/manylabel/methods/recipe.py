"""Recipes: how a method is trained, as data, with what to expect of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from manylabel.data.rows import Images, TableRows, Texts, Vectors
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError
from manylabel.models.frozen import FrozenSettings
from manylabel.models.frozen.places import PathOrName
from manylabel.models.inputs import Scaling, ViewSettings, WordSettings, check_scaling
from manylabel.training import LastStage


class Config(BaseModel):
    """Settings that refuse unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Widths: TypeAlias = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
"""Sizes of the layers of a network, at least one."""


ENCODED: tuple[str, ...] = (Texts.kind, Images.kind, TableRows.kind)
"""Kinds of rows of which a frozen encoder can make vectors."""


class InputSettings(FrozenSettings, WordSettings):
    """How features are scaled before anything learns from them, after a frozen encoder if there is one.

    What counts as a word of texts is told by :class:`~manylabel.models.inputs.WordSettings`.

    Attributes
    ----------
    scaling : "auto", "columns", "one", "none", "rank_normal", "tfidf" or "lsa", default "auto"
        Of vectors; what each does is told by :func:`manylabel.models.fit_preprocessor`. Texts and tables take "auto"
        and "lsa", pictures "auto" alone.
    pixels : int or None, default None
        Of pictures: the side to which they are brought on their way into a method. None leaves them as they are, or
        brings them to the size that the weights of an encoder were trained with.
    most_features : int or None, default None
        Of sparse vectors: so many columns are kept, those that the most training rows have; None keeps 10 000.
    """

    scaling: Scaling = "auto"
    most_features: int | None = Field(None, ge=1)
    pixels: int | None = Field(None, ge=8, le=4096)

    @property
    def words(self) -> WordSettings:
        """What counts as a word of texts."""
        return WordSettings(**{name: getattr(self, name) for name in WordSettings.model_fields})

    @property
    def own_pixels(self) -> int | None:
        """The side of pictures that no frozen encoder takes."""
        return self.pixels if self.encoder is None else None


class EncoderSettings(Config):
    """Which network makes the representation.

    Attributes
    ----------
    name : str
        Of vectors ``mlp`` (:class:`~manylabel.models.MLP`), ``resmlp`` (:class:`~manylabel.models.ResidualMLP`) or
        ``numeric_mlp`` (:class:`~manylabel.models.NumericMLP`), of pictures one of
        :data:`~manylabel.models.PICTURE_ENCODERS`, of texts ``huggingface``. ``model`` is that
        of a model which was trained on such rows.
    weights : str or None, default None
        Of pictures: a file of weights to start from, or "package"; see :func:`~manylabel.models.picture_encoder`. None
        starts from scratch. Of texts: the folder of a pretrained Hugging Face encoder, or its name on the hub. Of
        ``model``: its folder; widths, dropout and how rows are taken are those that it was trained with.
    widths : tuple of int, or None
        Sizes of the layers (``mlp``, ``numeric_mlp``), between and inside of blocks (``resmlp``), or maps of the stages
        (``small_resnet``); None takes the network's own default.
    dropout : float, default 0.2
        Of the networks of vectors; those of texts have the dropout that their folder says.
    sigma : float or None, default None
        Of ``numeric_mlp``: standard deviation of the first frequencies; None is 0.1.
    pooling : "auto", "mean" or "first", default "auto"
        Of texts: the mean of the vectors of all tokens, or the vector of the first; "auto" is what the folder says.
    length : int or None, default None
        Of texts: tokens that are read; None takes as many as the encoder was made for.
    checkpointing : bool, default False
        Of texts: keep the inputs of each layer in place of all that a backward pass needs, which is computed again.
    """

    name: Literal[
        "mlp",
        "resmlp",
        "numeric_mlp",
        "small_resnet",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "vit_tiny",
        "efficientnet_lite0",
        "huggingface",
        "model",
    ] = "mlp"
    weights: PathOrName | None = Field(None, min_length=1)
    widths: Widths | None = None
    dropout: float = Field(0.2, ge=0, lt=1)
    sigma: float | None = Field(None, gt=0)
    pooling: Literal["auto", "mean", "first"] = "auto"
    length: int | None = Field(None, ge=2)
    checkpointing: bool = False


class ClassifySettings(Config):
    """Training of the classifier, with the encoder or on top of it.

    Attributes
    ----------
    stage : LastStage
    views : ViewSettings
    encoder_rate : float, default 1
        Learning rate of the encoder as a multiple of the classifier's; 0 freezes the encoder (a linear probe).
    loss : dict
        Settings of the classifier's loss, such as ``gamma_neg`` of ASL; the others stay at their defaults.
    negatives : int or None, default None
        Labels that a step scores beside those that its rows carry, drawn evenly for it; each stands for as many others,
        see :func:`manylabel.losses.draw_labels`. The classifier then starts at the shares of the labels, and what is
        monitored is measured on the highest scores. None scores all labels.
    start : "random" or "centroids", default "random"
        Weights of the classifier before the first step: drawn, or for each label the direction of the mean
        representation of its training rows, see :func:`manylabel.methods.centroids.start_at_centroids`. Pays where
        labels are very many and epochs few, with a rate of about a third of the recipe's.
    """

    stage: LastStage
    views: ViewSettings = ViewSettings()
    encoder_rate: float = Field(1.0, ge=0)
    negatives: int | None = Field(None, ge=1)
    start: Literal["random", "centroids"] = "random"
    loss: dict[str, bool | float | str] = {}


class NeighbourSettings(Config):
    """How the nearest training rows have a say in the probabilities.

    Attributes
    ----------
    among : "features", "representation", "centroids" or None, default None
        Where rows are near. None stands for the features of vectors, and for the representation of pictures, whose near
        pixels are not near pictures. Scikit-learn baselines have no representation and always take the features.
        "centroids" compares a row with the sum of the training rows of each label in place of the rows one by one, for
        very many labels; see :class:`~manylabel.methods.centroid_votes.CentroidScorer`.
    k : int, default 15
        Rows that have a say.
    temperature : float, default 0.1
        They weigh ``softmax(cosine / temperature)``.
    weight : float or "per_row", default 0.5
        Share of their say in the mean with what the method itself finds; "per_row" has a share for each row, see
        :class:`~manylabel.methods.knn_interpolation.NeighbourScorer`.
    sure : float, default 0.7
        Probability from which on the method is sure of a label, for a share of each row.
    most_rows : int, default 200_000
        Training rows that a row is compared with and that a model keeps; of more, so many are drawn, stratified by
        label. Centroids sum up all rows.
    """

    among: Literal["features", "representation", "centroids"] | None = None
    k: int = Field(15, ge=1)
    temperature: float = Field(0.1, gt=0)
    weight: Annotated[float, Field(ge=0, le=1)] | Literal["per_row"] = 0.5
    sure: float = Field(0.7, gt=0, le=1)
    most_rows: int = Field(200_000, ge=1)


class Expected(Config):
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


class AnySettings(Config):
    """A method with everything that decides how it is trained on one kind of data; each family adds its own settings.

    Attributes
    ----------
    kinds : tuple of str
        The kinds of data that the family is defined for.
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
    neighbours : NeighbourSettings or None, default None
        Average the probabilities with those of the nearest training rows.
    inputs : FrozenSettings
        Which frozen encoder makes vectors of the rows, if any.
    keeps_rows : bool
        Whether rows stay as they are where there is a frozen encoder, beside the vectors that it makes.
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(KINDS)
    keeps_rows: ClassVar[bool] = False

    name: str
    family: str
    about: str
    source: str
    members: int = Field(1, ge=1)
    expected: tuple[Expected, ...] = ()
    neighbours: NeighbourSettings | None = None
    inputs: FrozenSettings = FrozenSettings()

    def check(self, who: str) -> None:
        """Refuse settings that cannot be trained together; families that have such say which.

        Raises
        ------
        ManyLabelError
            Names ``who``, what was expected and the setting.
        """

    def check_kind(self, who: str, kind: str) -> None:
        """Refuse settings that are meant for rows of another kind; families that have such say which.

        Raises
        ------
        ManyLabelError
            Names ``who``, what was expected and the setting.
        """
        if self.inputs.encoder is not None and kind not in ENCODED:
            hint = "Vectors need no encoder: leave it out."
            got = f"{self.inputs.encoder!r} for {kind}"
            raise ManyLabelError(f"{who}, inputs.encoder", "rows of texts or pictures", got, hint)
        if self.inputs.encoder is None and (unused := self.inputs.of_encoder):
            hint = "Name the encoder as well, or leave it out."
            raise ManyLabelError(f"{who}, inputs.{unused[0]}", "inputs.encoder beside it", "none", hint)


class ScaledSettings(AnySettings):
    """Settings of a method that learns from features scaled in a way that can be chosen.

    Attributes
    ----------
    inputs : InputSettings
    """

    inputs: InputSettings = InputSettings()

    def check_kind(self, who: str, kind: str) -> None:
        super().check_kind(who, kind)
        encoded = self.inputs.encoder is not None
        check_scaling(f"{who}, inputs.scaling", Vectors.kind if encoded else kind, self.inputs.scaling)
        if self.inputs.words != WordSettings() and (kind != Texts.kind or encoded):
            changed = [n for n, v in WordSettings() if getattr(self.inputs, n) != v]
            hint = f"Write text.inputs.{changed[0]} where it is meant for texts alone."
            raise ManyLabelError(f"{who}, inputs.{changed[0]}", "texts as TF-IDF", kind, hint)
        if self.inputs.most_features is not None and kind != Vectors.kind:
            hint = f"Write {Vectors.kind}.inputs.most_features; texts have most_words."
            raise ManyLabelError(f"{who}, inputs.most_features", "sparse vectors", kind, hint)
        if self.inputs.pixels is not None and kind != Images.kind:
            hint = f"Write {Images.kind}.inputs.pixels."
            raise ManyLabelError(f"{who}, inputs.pixels", Images.kind, kind, hint)


class Settings(ScaledSettings):
    """All settings of an encoder with a classifier.

    Attributes
    ----------
    loss : str
        Of the classifier in the family "logit", of the contrast in the family "contrastive".
    encoder : EncoderSettings
    classify : ClassifySettings
    """

    loss: str
    encoder: EncoderSettings = EncoderSettings()
    classify: ClassifySettings

    def check(self, who: str) -> None:
        super().check(who)
        if self.encoder.name == "huggingface" and self.inputs.encoder is not None:
            hint = "Train it, or take it frozen with a method of vectors such as bce."
            got = f"inputs.encoder {self.inputs.encoder!r} before it"
            raise ManyLabelError(f"{who}, encoder.name huggingface", "texts as they are", got, hint)

    def check_kind(self, who: str, kind: str) -> None:
        super().check_kind(who, kind)
        if self.encoder.name == "huggingface" and kind != Texts.kind:
            hint = "Take another network, such as mlp."
            raise ManyLabelError(f"{who}, encoder.name huggingface", "texts", kind, hint)
        if self.encoder.weights is not None and self.encoder.name in ("mlp", "resmlp", "numeric_mlp"):
            expected = "a network of pictures, or encoder.name model beside it"
            hint = "A network of vectors starts from a model that was trained before."
            raise ManyLabelError(f"{who}, encoder.weights", expected, self.encoder.name, hint)
        if self.encoder.sigma is not None and self.encoder.name != "numeric_mlp":
            hint = "Leave it out, or set encoder.name beside it."
            raise ManyLabelError(f"{who}, encoder.sigma", "the network numeric_mlp", self.encoder.name, hint)


class VectorViewSettings(Config):
    """How rows are disturbed in training.

    Attributes
    ----------
    mask : float, default 0
        The probability of each feature to be set to 0 after standardisation.
    """

    mask: float = Field(0.0, ge=0, lt=1)


class VectorTraining(Config):
    """Training of a network that makes the scores of all labels itself.

    Attributes
    ----------
    stage : LastStage
    views : VectorViewSettings
    """

    stage: LastStage
    views: VectorViewSettings = VectorViewSettings()


class VectorSettings(AnySettings):
    """Settings of a method that is defined for feature vectors, and for texts, which become vectors.

    Attributes
    ----------
    standardise : bool, default True
        Take mean and scale of the training rows out of the features; the released codes take them as they are.
    network : Config
        Each family declares its own.
    classify : VectorTraining
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(k for k, overlays in KINDS.items() if Vectors.kind in overlays)

    standardise: bool = True
    network: Config
    classify: VectorTraining
