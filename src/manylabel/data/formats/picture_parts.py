"""Parts of a data set of pictures, put together: files with their labels become rows; files that fail are all named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.options import PictureOptions
from manylabel.data.formats.picture_pixels import MOST_PIXELS, Pixels, read_pixels, why_unreadable
from manylabel.data.rows import Images, MappedImages
from manylabel.errors import ManyLabelError
from manylabel.printable import count

_SHOWN = 5  # pictures that a message names


@dataclass(frozen=True)
class PicturePart:
    """The pictures of one part with their labels.

    Attributes
    ----------
    files : list of n paths
    Y : (n, n_labels) 0/1 matrix, NaN where an entry is unknown
    where : Path
        The file that lists them.
    lines : list of n int, optional
        The line of each in it.
    names : list of n str, optional
        What the pictures are called, if not by their files.
    """

    files: list[Path]
    Y: Any
    where: Path
    lines: list[int] | None = None
    names: list[str] | None = None

    def place(self, i: int) -> str:
        """Where a picture is listed, for messages."""
        return str(self.where) if self.lines is None else f"{self.where}, line {self.lines[i]}"


@dataclass(frozen=True)
class PictureListing:
    """What the files of a data set say of its pictures, none of which was opened.

    Attributes
    ----------
    root : Path
        The folder of the data set.
    parts : one or two PicturePart
        Training rows, and test rows where they are published.
    label_names : sequence of str
    validation : (n,) bool array, optional
        Which of the training rows are published validation rows.
    told : tuple of str
        What to tell of how the files were read.
    """

    root: Path
    parts: Sequence[PicturePart]
    label_names: Sequence[str]
    validation: np.ndarray[Any, Any] | None = None
    told: tuple[str, ...] = ()


def assemble_pictures(
    about: About, listing: PictureListing, kind: type[PictureOptions] = PictureOptions
) -> DataSet:
    """Decode the pictures of all parts, and build the data set.

    Parameters
    ----------
    about : About
        Takes the settings of ``kind``.
    listing : PictureListing
    kind : type, default PictureOptions
        The settings of the reader.

    Raises
    ------
    ManyLabelError
        Naming pictures that cannot be read, unless the settings leave them out.

    Notes
    -----
    A picture is turned as its camera says. Pictures are grey where all of them are.
    """
    options = kind.of(about)
    parts = listing.parts
    names = [[_name(file, listing.root) for file in part.files] for part in parts]
    found = [read_pixels(part.files, own, options) for part, own in zip(parts, names, strict=True)]
    if options.unreadable == "refuse":
        for part, pixels in zip(parts, found, strict=True):
            if not pixels.readable.all():
                raise _refusal(part, pixels, options)
    shape = about.like.picture_shape
    grey = all(pixels.grey for pixels in found) and (shape is None or shape[0] == 1)
    rows = [_part(part, pixels, grey) for part, pixels in zip(parts, found, strict=True)]
    kept = None
    if listing.validation is not None:
        kept = np.flatnonzero(listing.validation[found[0].readable])
    remarks = (*about.remarks, *listing.told, *_told(found, options))
    about = dataclasses.replace(about, remarks=remarks)
    made = assemble(about, *rows, label_names=listing.label_names, validation_rows=kept)
    made = dataclasses.replace(made, reading=options.kept)
    if len(parts) == 1 and not about.undivided:  # its test rows are drawn
        return made
    return dataclasses.replace(
        made, test_names=tuple(compress(parts[-1].names or names[-1], found[-1].readable))
    )


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def _part(part: PicturePart, pixels: Pixels, grey: bool) -> Part:
    """The rows that could be read."""
    images, Y = pixels.images, part.Y
    if grey:
        images = _first_channel(images)
    if not pixels.readable.all():
        rows = np.flatnonzero(pixels.readable)
        images, Y = images.take(rows), Y[rows]
    return Part(images, Y, str(part.where))


def _first_channel(images: Images) -> Images:
    if isinstance(images, MappedImages):
        return MappedImages(tuple(part[:, :1] for part in images.parts), images.rows)
    return Images(images.values[:, :1].contiguous())


def _told(found: Sequence[Pixels], options: PictureOptions) -> list[str]:
    readable = np.concatenate([pixels.readable for pixels in found])
    sizes = np.concatenate([pixels.sizes for pixels in found])[readable]
    if not len(sizes):
        return []
    (low_height, low_width), (height, width) = sizes.min(axis=0), sizes.max(axis=0)
    cut = ", cut to the middle square" if options.fit == "short" else ""
    low, high = f"{low_height} x {low_width}", f"{height} x {width}"
    told = [
        f"{count(len(sizes), 'picture')} of {high if low == high else f'{low} to {high}'} pixels, "
        f"resized to {options.side} x {options.side}{cut}."
    ]
    n_lost = int((~readable).sum())
    return [*told, f"{count(n_lost, 'picture')} could not be read, and left out."] if n_lost else told


def _refusal(part: PicturePart, pixels: Pixels, options: PictureOptions) -> ManyLabelError:
    broken = np.flatnonzero(~pixels.readable).tolist()
    first = broken[0]
    others = ", ".join(shown(part.files[j].name)[1:-1] for j in broken[1:_SHOWN])
    more = (
        f"; nor {count(len(broken) - 1, 'other')} ({others}{', ...' if broken[_SHOWN:] else ''})"
        if others
        else ""
    )
    hint = "Mend them, take them out of the list or folder, or leave them out with `options` unreadable=skip."
    expected = f"pictures that can be read, of at most {MOST_PIXELS} pixels"
    name = shown(part.files[first].name)
    why = why_unreadable(part.files[first], options)
    return ManyLabelError(part.place(first), expected, f"{name} ({why}){more}", hint)
