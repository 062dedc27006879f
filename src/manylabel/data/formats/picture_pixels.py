"""Pictures decoded, turned and resized to bytes: few in memory, many once for all runs in the cache on disk."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from manylabel.data.cache import cached_array, key_of
from manylabel.data.formats.border import border, reason
from manylabel.data.formats.options import PictureOptions
from manylabel.data.rows import Images, MappedImages
from manylabel.errors import ManyLabelError, missing_extra

MOST_PIXELS = 1 << 26  # of one picture, as its header declares them; a camera makes up to 50 million
IN_MEMORY = 8 << 20  # bytes of pictures, beyond which they are kept on the disk
# Formats whose decoders read pixels and nothing else; Pillow would hand EPS to another program.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
_IN_MEMORY = re.compile(r" <_io\.BytesIO [^>]*>")  # what Pillow calls a file that it was given in memory
_VERSION = "pictures 1"  # of what becomes of a file
_BLOCK = 16 << 20  # bytes that a kill may lose
_THREADS = 4  # Pillow decodes without the interpreter's lock; each may hold one large picture


@dataclass(frozen=True)
class Pixels:
    """What became of a list of files.

    Attributes
    ----------
    images : Images (n, 3, side, side) or (n, 1, side, side) uint8
    sizes : (n, 2) int array
        Height and width that they had; 0 where a file could not be read.
    grey : bool
        Whether all that could be read were grey.
    readable : (n,) bool array
    """

    images: Images
    sizes: np.ndarray[Any, Any]
    grey: bool
    readable: np.ndarray[Any, Any]


def read_pixels(files: Sequence[Path], names: Sequence[str], options: PictureOptions) -> Pixels:
    """Decode pictures, or find them decoded.

    Parameters
    ----------
    files : sequence of n paths
    names : sequence of n str
        By which the cache knows them, beside size and time of change: paths inside of their data set.
    options : PictureOptions

    Raises
    ------
    ManyLabelError
        If Pillow is not installed, or the cache cannot be written; files that cannot be read are marked instead.
    """
    _pillow()
    form, side = _form(options.side), options.side

    def compute(start: int) -> Iterator[Any]:
        return _decoded(files[start:], options)

    if form.itemsize * len(files) <= IN_MEMORY:
        kept = np.concatenate([np.empty(0, form), *compute(0)])
    else:
        key = key_of(_VERSION, f"{side} {options.fit}", *map(_stamp, files, names))
        kept = cached_array(key, (len(files),), form, compute, who="pictures")
    pixels = torch.from_numpy(kept["pixels"].reshape(-1, 3, side, side))
    images = MappedImages((pixels,)) if isinstance(kept, np.memmap) else Images(pixels.contiguous())
    sizes, readable = kept["size"].astype(np.int64), kept["size"][:, 0] > 0
    return Pixels(images, sizes, bool(kept["grey"][readable].all()), readable)


def why_unreadable(file: Path, options: PictureOptions) -> str:
    """What is wrong with a picture, in a few words."""
    try:
        _picture(file, options)
    except ManyLabelError as error:
        return _IN_MEMORY.sub("", error.got)
    except Exception as error:  # decoders of hostile bytes raise anything
        return reason(error)
    return "it could not be read before"


def _form(side: int) -> np.dtype[Any]:
    """One picture as it is kept."""
    return np.dtype([("pixels", "u1", (3 * side * side,)), ("size", "<i4", (2,)), ("grey", "u1")])


def _stamp(file: Path, name: str) -> str:
    """What tells a file from a changed one without reading it."""
    try:
        found = file.stat()
    except OSError:
        return f"{name} is not there"
    return f"{name} {found.st_size} {found.st_mtime_ns}"


def _decoded(files: Sequence[Path], options: PictureOptions) -> Iterator[Any]:
    """Blocks of pictures in order; those that cannot be read have no size."""
    form = _form(options.side)
    step = max(1, _BLOCK // form.itemsize)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        for start in range(0, len(files), step):
            some = files[start : start + step]
            block = np.zeros(len(some), form)
            for i, made in enumerate(threads.map(lambda file: _picture_or_none(file, options), some)):
                if made is not None:
                    block[i] = made
            yield block


def _picture_or_none(file: Path, options: PictureOptions) -> tuple[Any, tuple[int, int], bool] | None:
    try:
        return _picture(file, options)
    except Exception:  # decoders of hostile bytes raise anything; :func:`why_unreadable` tells
        return None


def _picture(file: Path, options: PictureOptions) -> tuple[Any, tuple[int, int], bool]:
    """Pixels (3 * side * side,), the size that the picture had, and whether it is grey."""
    Image, ImageOps = _pillow()
    side = options.side
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are refused below
        # From memory: a file on disk would set as much memory aside as a damaged header asks it to read.
        content = io.BytesIO(file.read_bytes())
        with border(file, "a picture"), Image.open(content, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ManyLabelError(str(file), f"at most {MOST_PIXELS} pixels", f"{height} x {width}")
            if image.mode[0] in "IF":
                got = f"more than 8 bits a pixel, mode {image.mode}: save it with 8"
                raise ManyLabelError(str(file), "8 bits a pixel", got)
            image.draft(None, (2 * side, 2 * side))  # a JPEG is decoded no larger than needed
            turned = ImageOps.exif_transpose(image)
            is_grey = turned.mode in ("1", "L", "LA")
            box = _middle(turned.size) if options.fit == "short" else None
            small = turned.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box)
            return np.asarray(small).transpose(2, 0, 1).reshape(-1), (height, width), is_grey


def _middle(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest square in the middle: what is left when the shorter side fits and the longer one is cut."""
    width, height = size
    short = min(size)
    left, top = (width - short) / 2, (height - short) / 2
    return left, top, left + short, top + short


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise missing_extra("pictures", "Pillow", "vision") from None
    return Image, ImageOps
