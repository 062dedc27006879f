"""Settings of a frozen encoder: which network or table makes vectors of texts or pictures, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from manylabel.models.frozen.places import PathOrName


class FrozenSettings(BaseModel):
    """Which encoder rows go through once, before a method sees them as vectors.

    Attributes
    ----------
    encoder : str or None, default None
        Of texts: the folder of a Hugging Face encoder or of static embeddings, the name of one on the hub, or
        "wordllama" or "minilm", which are packages. Of pictures: a name of
        :func:`manylabel.models.picture_encoder`, with ``weights``. Of both: the model folder of a method that was
        trained on such rows, whose representation is taken. None takes rows as they are.
    weights : str or None, default None
        File of the weights of an encoder of pictures; of "efficientnet_lite0" None takes those of its package.
    pooling : "auto", "mean" or "first", default "auto"
        How a network makes one vector of those of all tokens: their mean, or the first one. "auto" is what the folder
        says, else the mean.
    length : int or None, default None
        Tokens of a text that are read; None takes as many as the encoder was made for.
    pixels : int or None, default None
        Height and width to which pictures are brought; None takes what the encoder was made for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    encoder: PathOrName | None = Field(None, min_length=1)
    weights: PathOrName | None = None
    pooling: Literal["auto", "mean", "first"] = "auto"
    length: int | None = Field(None, ge=2)
    pixels: int | None = Field(None, ge=8, le=4096)

    @property
    def of_encoder(self) -> tuple[str, ...]:
        """The settings that are given and mean nothing without an encoder."""
        usual = FrozenSettings()
        return tuple(n for n in ("weights", "pooling", "length") if getattr(self, n) != getattr(usual, n))
