"""Pictures in a folder with a CSV file: file names first, then tags or one 0/1 column a label; decoded small."""

from __future__ import annotations

import dataclasses
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, reason, shown
from manylabel.data.formats.parts import remark_if_alone, train_and_test
from manylabel.data.formats.picture_list import PictureList, label_matrix, read_list
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.printable import count

SIDE = 64
MOST_PIXELS = 1 << 26  # of one picture, as its header declares them; a camera makes up to 50 million
# Formats whose decoders read pixels and nothing else; Pillow would hand EPS to another program.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
_SHOWN = 5  # pictures that a message names


def read_pictures(path: Path, about: About) -> DataSet:
    """Read the pictures that one CSV file lists, or those of a training and a test file.

    Parameters
    ----------
    path : Path
        The CSV file, `train.csv` (brings `test.csv`) or one without a split. Its first column names files in its
        folder, or in one folder of that; the others are one column of tags, or a 0/1 column for each label.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the line of a row, or the pictures, that are not as they should be: lacking, damaged, outside of the
        folder, or of more than 67 million pixels.

    Notes
    -----
    A picture becomes 64 x 64 pixels, as a whole: its sides are squeezed, nothing is cut off. It is turned as its camera
    says. Pictures are grey where all of them are.
    """
    train_path, test_path = train_and_test(path)
    lists = [read_list(p) for p in (train_path, test_path) if p is not None]
    matrices, names, told = label_matrix(lists)
    decoded = [_decode(found) for found in lists]
    grey = all(is_grey for _, is_grey, _ in decoded)
    parts = [
        Part(X[:, :1] if grey else X, Y, str(found.path))
        for (X, _, _), Y, found in zip(decoded, matrices, lists, strict=True)
    ]
    sizes = np.concatenate([size for _, _, size in decoded])
    remarks = (*about.remarks, *remark_if_alone(train_path, test_path), *told, _told(sizes))
    return assemble(dataclasses.replace(about, remarks=remarks), *parts, label_names=names)


def _told(sizes: np.ndarray[Any, Any]) -> str:
    (low_height, low_width), (height, width) = sizes.min(axis=0), sizes.max(axis=0)
    return (
        f"{count(len(sizes), 'picture')} of {low_height} x {low_width} to {height} x {width} pixels, "
        f"resized to {SIDE} x {SIDE}."
    )


def _decode(found: PictureList) -> tuple[Any, bool, Any]:
    """Pixels (n, 3, 64, 64), whether all are grey, and the sizes (n, 2) that they had."""
    pixels = np.empty((len(found.files), 3, SIDE, SIDE), dtype=np.uint8)
    sizes, grey = np.empty((len(found.files), 2), dtype=np.int64), True
    broken: list[tuple[int, str]] = []
    for i, file in enumerate(found.files):
        try:
            pixels[i], is_grey, sizes[i] = _picture(file)
        except ManyLabelError as error:
            if error.hint:  # a package that is lacking would be lacking for each
                raise
            broken.append((i, error.got))
        except Exception as error:  # decoders of hostile bytes raise anything
            broken.append((i, reason(error)))
        else:
            grey &= is_grey
    if broken:
        raise _refusal(found, broken)
    return pixels, grey, sizes


def _refusal(found: PictureList, broken: list[tuple[int, str]]) -> ManyLabelError:
    i, why = broken[0]
    others = ", ".join(shown(found.files[j].name)[1:-1] for j, _ in broken[1:_SHOWN])
    more = f"; nor {len(broken) - 1} others ({others}{', ...' if broken[_SHOWN:] else ''})" if others else ""
    where = f"{found.path}, line {found.lines[i]}"
    hint = "Mend them, or take their lines out of the file."
    expected = f"pictures that can be read, of at most {MOST_PIXELS} pixels"
    return ManyLabelError(where, expected, f"{shown(found.files[i].name)} ({why}){more}", hint)


def _picture(file: Path) -> tuple[Any, bool, tuple[int, int]]:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise missing_extra(str(file), "Pillow", "vision") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are refused below
        # From memory: a file on disk would set as much memory aside as a damaged header asks it to read.
        content = io.BytesIO(file.read_bytes())
        with border(file, "a picture"), Image.open(content, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ManyLabelError(str(file), f"at most {MOST_PIXELS} pixels", f"{height} x {width}")
            if image.mode[0] in "IF":
                raise ManyLabelError(str(file), "8 bits a pixel", f"mode {image.mode}")
            image.draft(None, (2 * SIDE, 2 * SIDE))  # a JPEG is decoded no larger than needed
            turned = ImageOps.exif_transpose(image)
            is_grey = turned.mode in ("1", "L", "LA")
            small = turned.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return np.asarray(small).transpose(2, 0, 1), is_grey, (height, width)
