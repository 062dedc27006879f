"""Names of folders and files, made safe: a name from outside is never a path and never takes the place of another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from manylabel.errors import ManyLabelError
from manylabel.printable import printable

MODEL = "model"  # in the folder of a run
MOST_BYTES = 240  # file systems take 255, of which temporary files beside it need some
TAKEN = {
    "study.json",
    "test_labels.npz",
    "report.html",
    "report.md",
    "report.tex",
    "values.csv",
    "examples.html",
    "tracking",
}  # files of a study, beside the folders of its methods
PICTURE = "report-"  # before the names of a report's pictures
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def check_folder_names(who: str, names: Iterable[str]) -> None:
    """Refuse names that cannot each have a folder of their own inside the folder of a study, on any system.

    Parameters
    ----------
    who : str
        The parameter that they come from.
    names : iterable of str

    Raises
    ------
    ManyLabelError
        For a name that leads elsewhere, that some file system does not take, that a file of the study has, or that
        differs from another one in upper and lower case alone.
    """
    owners: dict[str, str] = {}
    for name in names:
        flaw = _flaw(name)
        if flaw:
            raise ManyLabelError(
                who, "methods whose names can name a folder", f"{name!r}, {flaw}", "Rename it."
            )
        other = owners.setdefault(_folded(name), name)
        if other != name:
            expected = "methods whose names differ in more than upper and lower case"
            raise ManyLabelError(who, expected, f"{other!r} and {name!r}", "Rename one of them.")


def _flaw(name: str) -> str:
    """Why a name cannot name a folder; "" if it can."""
    if not name.strip(". "):
        return "which has no letter"
    if set(name) & set("/\\") or printable(name) != name:
        return "which holds a slash or a character that cannot be seen"
    if name[0] in ". " or name[-1] in ". ":
        return "which begins or ends with a dot or a space"
    if len(name.encode(errors="surrogateescape")) > MOST_BYTES:
        return f"which takes more than {MOST_BYTES} bytes"
    folded = _folded(name)
    is_picture = folded.startswith(PICTURE) and folded.endswith(".svg")
    if folded in TAKEN or is_picture or folded.partition(".")[0] in DEVICES:
        return "which is the name of a file of a study or of a device"
    return ""


def _folded(name: str) -> str:
    """The same for names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def name_of_data(data: str) -> str:
    """What data given by name or path are called in folders: the last part of the path, without its ending."""
    name = Path(data).stem
    if not name.strip(". "):  # such as "." and "..", which lead elsewhere
        name = Path(data).resolve().stem
    return name if name.strip(". ") else "data"


def seed_folder(seed: int) -> str:
    """What the folder of a run is called among those of its method."""
    return f"seed-{seed}"


def name_of_study(
    data: str, fraction: float = 1.0, wrong_labels: float = 0.0, split: int | None = None, start: str = ""
) -> str:
    """What data given by name or path, or what a study makes of them, are called in folders.

    ``start`` is the folder of a method of another study, whose models it starts from.
    """
    name = name_of_data(data)
    name += "" if split is None else f"-split-{split}"
    name += "" if fraction == 1 else f"-{100 * fraction:g}-percent"
    name += f"-{100 * wrong_labels:g}-percent-wrong" if wrong_labels else ""
    return name if not start else f"{name}-from-{Path(start).parent.name}-{Path(start).name}"


def file_name(text: str, taken: Iterable[str] = ()) -> str:
    """A text as the name of a file without its ending, unlike all that are taken."""
    name = re.sub(r"[^\w.]+", "-", text)[:80].strip(".-") or "picture"
    others = {_folded(other) for other in taken}
    numbered = (name if n == 1 else f"{name}-{n}" for n in range(1, len(others) + 2))
    return next(candidate for candidate in numbered if _folded(candidate) not in others)
