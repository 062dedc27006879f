"""Settings of readers: what a person may choose where owners' files can be read in more than one way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manylabel.data.build import About
from manylabel.errors import ManyLabelError, did_you_mean

_KINDS = {"bool": "true or false", "int": "a whole number"}


class ReadOptions(BaseModel):
    """Settings of a reader, read from names and values.

    Attributes
    ----------
    of_new_rows : tuple of str
        Those that new rows of a model take from its training rows, where they are asked for no others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    of_new_rows: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, about: About) -> Self:
        """Those that were asked for.

        Raises
        ------
        ManyLabelError
            Naming the setting that this reader does not know, or that has another value than it may have.
        """
        kept = {name: value for name, value in about.like.reading.items() if name in cls.of_new_rows}
        try:
            return cls.model_validate({**kept, **about.options})
        except ValidationError as error:
            raise _refusal(cls, about.options, error) from None

    @property
    def kept(self) -> dict[str, Any]:
        """Those that new rows take, for :attr:`manylabel.data.DataSet.reading`."""
        return {name: getattr(self, name) for name in self.of_new_rows}


class PictureOptions(ReadOptions):
    """Settings of readers of pictures.

    Attributes
    ----------
    side : int, default 64
        Height and width that every picture gets, in pixels.
    fit : "square" or "short", default "square"
        "square" squeezes the sides: nothing is cut off, as a label may stand for what is at the border. "short" brings
        the shorter side to ``side`` and cuts the middle out.
    unreadable : "refuse" or "skip", default "refuse"
        Whether pictures that are lacking or damaged are refused, all of them named, or left out with their labels.
    """

    of_new_rows: ClassVar[tuple[str, ...]] = ("fit",)
    side: int = Field(default=64, ge=8, le=2048)
    fit: Literal["square", "short"] = "square"
    unreadable: Literal["refuse", "skip"] = "refuse"

    @classmethod
    def of(cls, about: About) -> Self:
        """As every reader; pictures of a model get its size where none is asked for."""
        shape = about.like.picture_shape
        if shape is None or "side" in about.options or shape[1] != shape[2]:
            return super().of(about)
        return super().of(dataclasses.replace(about, options={**about.options, "side": shape[1]}))


class SparseOptions(ReadOptions):
    """Settings of readers of sparse text.

    Attributes
    ----------
    on_disk : bool, default False
        Whether features stay in their file, of which a block of rows is decoded at a time; labels are in memory.
    """

    on_disk: bool = False


class OpenSparseOptions(SparseOptions):
    """Settings of readers of sparse rows whose files tell by what occurs how many features there are.

    Attributes
    ----------
    features : int or None, default None
        How many there are; None takes as many as the files show, or as a model has.
    """

    features: int | None = Field(default=None, ge=1, le=2**31 - 1)

    def width(self, about: About) -> int | None:
        """How many features rows have to have; None where the files say."""
        return self.features or about.like.n_features


class SvmlightOptions(OpenSparseOptions):
    """Settings of the reader of svmlight files.

    Attributes
    ----------
    first : 0, 1 or None, default None
        The number of the first feature; None finds it out.
    """

    of_new_rows: ClassVar[tuple[str, ...]] = ("first",)
    first: Literal[0, 1] | None = None


def refuse_options(options: Mapping[str, Any], who: str) -> None:
    """For readers without settings.

    Raises
    ------
    ManyLabelError
        If there are any.
    """
    if options:
        raise ManyLabelError(who, "no settings of the reader", ", ".join(map(repr, options)))


def _refusal(kind: type[ReadOptions], given: Mapping[str, Any], error: ValidationError) -> ManyLabelError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    known = list(kind.model_fields)
    if first["type"] == "extra_forbidden":
        expected = f"a setting such as {', '.join(known)}"
        return ManyLabelError("`options`", expected, repr(name), did_you_mean(name, known))
    told = _KINDS.get(first["type"].partition("_")[0]) or first["msg"].removeprefix("Input should be ")
    return ManyLabelError(f"`options`, {name!r}", told, repr(given.get(name)))
