"""KMCL: encoder and mixture head trained end to end on asymmetric loss, reconstruction and kernel contrast."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.methods.base import EncoderTrainer, Ready
from manylabel.methods.classifier_stage import Classification, built_loss, check_loss_settings
from manylabel.methods.networks import width
from manylabel.methods.recipe import Config, Settings
from manylabel.methods.rows import DeviceRows
from manylabel.methods.scorer import NetworkScorer
from manylabel.models import Preprocessor
from manylabel.models.mixture_head import MixtureHead
from manylabel.training import Ranks, Run


class MixtureSettings(Config):
    """The Gaussians of the labels.

    Attributes
    ----------
    width : int or None, default None
        None for isotropic mixtures; dimensions of anisotropic ones.
    similarity : "bc", "mks" or "rbf", default "bc"
        One variance per row and label, per row and dimension (anisotropic), or per row (isotropic).
    scale : "released" or "bhattacharyya", default "released"
        For anisotropic mixtures: the distance multiplied by ``width`` as in the released code, or as it is.
    temperature : float, default 0.17
    """

    width: int | None = Field(None, ge=1)
    similarity: Literal["bc", "mks", "rbf"] = "bc"
    scale: Literal["released", "bhattacharyya"] = "released"
    temperature: float = Field(0.17, gt=0)


class KMCLSettings(Settings):
    """Settings of KMCL; those under ``classify.loss`` are ``gamma_neg``, ``gamma_pos`` and ``clip``.

    Attributes
    ----------
    mixture : MixtureSettings
    """

    mixture: MixtureSettings = MixtureSettings()

    def check(self, who: str) -> None:
        super().check(who)
        if self.classify.negatives is not None:
            hint = "Leave classify.negatives out, or take asl."
            raise ManyLabelError(who, "a loss over all labels", "classify.negatives", hint)
        if self.classify.start != "random":
            hint = "Leave classify.start out, or take asl."
            raise ManyLabelError(who, "a classifier that starts at random", "classify.start", hint)


def build_loss(settings: KMCLSettings) -> nn.Module:
    """The loss of the mixtures, over the rows of all ranks."""
    mixture = settings.mixture.model_dump(exclude={"width"})
    check_loss_settings("classify.loss", settings.classify.loss, {*mixture, "reduction"})
    own = {**mixture, **settings.classify.loss, "group": Ranks.current().group}
    return built_loss("classify.loss", settings.loss, own)


class MixtureTraining(Classification):
    """Train encoder and mixture head together; what is monitored are the logits alone.

    Parameters
    ----------
    inputs : Preprocessor
    encoder : nn.Module
    head : MixtureHead
    train, validation : DeviceRows
    settings : KMCLSettings
    loss : nn.Module
        Of features, logits, means, variances and labels.
    """

    def __init__(
        self,
        inputs: Preprocessor,
        encoder: nn.Module,
        head: MixtureHead,
        train: DeviceRows,
        validation: DeviceRows,
        settings: KMCLSettings,
        loss: nn.Module,
    ) -> None:
        monitored = losses.get("asl", **settings.classify.loss, reduction="mean")
        super().__init__(inputs, encoder, head, train, validation, settings.classify, monitored)
        self.encoder, self.head, self.mixture_loss = encoder, head, loss

    def loss(self, rows: Tensor) -> Tensor:
        """The loss of the mixtures of a view of these rows, in float32."""
        train = self.rows.train
        mixture = self.head.mixture(self.encoder(self.view(train.X[rows])))
        arguments = *(part.float() for part in mixture), train.Y.take(rows)
        return self.mixture_loss(*arguments, sample_weight=train.weights_of(rows))  # type: ignore[no-any-return]


class KMCLMethod(EncoderTrainer):
    """Kernel-based multi-label contrastive learning."""

    settings: KMCLSettings

    def __init__(self, settings: KMCLSettings, encoder: nn.Module | None = None) -> None:
        super().__init__(settings, encoder)
        build_loss(settings)  # refuses unknown ones before data are read

    def train(self, ready: Ready, run: Run) -> NetworkScorer:
        inputs, settings = ready.inputs, self.settings
        encoder, mixture = self.new_encoder(ready), settings.mixture
        sizes = width(encoder, inputs), ready.train.Y.n_labels
        head = MixtureHead(*sizes, mixture.width, mixture.similarity).to(inputs.mean.device)
        loss = build_loss(settings)
        task = MixtureTraining(inputs, encoder, head, *ready.parts, settings, loss)
        run.train("train", task, settings.classify.stage)
        return self.scorer(inputs, encoder, head.classifier())
