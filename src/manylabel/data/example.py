"""An example table made from nothing: places to stay, described in words, numbers and categories, with tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.files.spreadsheet import csv_text

TAGS = ("beach", "budget", "family", "hiking", "nightlife", "quiet")
COLUMNS = ("name", "description", "region", "price", "rooms", "opened")
MOST_ROWS = 1_000_000
_SHARE = {"beach": 0.35, "family": 0.35, "hiking": 0.3, "nightlife": 0.25, "quiet": 0.3}
_PHRASES = {
    "beach": (
        "a short walk to the sea",
        "white sand at the door",
        "boards and sails for hire",
        "waves all night",
    ),
    "budget": ("simple rooms", "shared kitchen", "plain but clean"),
    "family": (
        "a playground behind the house",
        "high chairs and cots",
        "a shallow pool",
        "board games for rainy days",
    ),
    "hiking": (
        "trails start at the gate",
        "packed lunches for walkers",
        "a drying room for boots",
        "views of the ridge",
    ),
    "nightlife": (
        "bars around the corner",
        "live music on weekends",
        "open until four",
        "a rooftop full of people",
    ),
    "quiet": ("no road within hearing", "a garden with old trees", "books in every corner", "early nights"),
}
_ANYWHERE = (
    "breakfast with local bread",
    "friendly hosts",
    "parking at the house",
    "bicycles to borrow",
    "a bus stop nearby",
    "recently painted",
    "dogs are welcome",
    "late arrival on request",
)
_REGIONS = ("coast", "hills", "lakes", "old town")
_FIRST = ("Blue", "Golden", "Little", "Old", "Silent", "Three", "Upper", "White")
_SECOND = ("Anchor", "Fox", "Garden", "Lantern", "Mill", "Oak", "Pine", "Swan")


def write_example(path: str | Path, rows: int = 600, seed: int = 0, labels: bool = True) -> Path:
    """Write a CSV file of places to stay: name, description, region, price, rooms, opened, and a column of tags.

    Parameters
    ----------
    path : str or Path
    rows : int, default 600
    seed : int, default 0
        The same rows and seed give the same file.
    labels : bool, default True
        Whether there is a column ``tags``, several of them parted by ``|``.

    Returns
    -------
    Path

    Raises
    ------
    ManyLabelError
        If the place cannot be written or holds a file that is no such table; for fewer than 1 or more than
        1 000 000 rows.

    Notes
    -----
    Tags shape the words of a row, its region and its price; one entry in 25 is wrong, as in files of people. Some
    cells are empty.
    """
    place = files.as_path(path, "`out`")
    if not 1 <= rows <= MOST_ROWS:
        raise ManyLabelError("`rows`", f"a number from 1 to {MOST_ROWS}", str(rows))
    _check_free(place)
    header = COLUMNS + (("tags",) if labels else ())
    lines = _rows(np.random.default_rng(seed), rows)
    kept = (line if labels else line[:-1] for line in lines)
    files.write(place, csv_text([header, *kept]).encode())
    return place


def _check_free(place: Path) -> None:
    """Refuse to write over a file of somebody's own; an earlier table of this kind may go."""
    start = ",".join(COLUMNS).encode()
    if place.is_file() and place.read_bytes()[: len(start)] != start:
        hint = "Name another file, or remove that one."
        raise ManyLabelError(
            str(place), "a free place, or an earlier example", "a file of other content", hint
        )


def _rows(rng: np.random.Generator, rows: int) -> Iterator[list[object]]:
    for i in range(rows):
        tags = {tag for tag, share in _SHARE.items() if rng.random() < share}
        price = int(np.clip(rng.normal(95 + 25 * ("beach" in tags) - 15 * ("hiking" in tags), 35), 20, 240))
        if price < 75:
            tags.add("budget")
        told = [tag for tag in TAGS if (tag in tags) != (rng.random() < 0.04)]
        name = f"{rng.choice(_FIRST)} {rng.choice(_SECOND)} {i + 1}"
        opened: object = "" if rng.random() < 0.05 else int(rng.integers(1890, 2025))
        rooms = int(rng.integers(2, 40))
        yield [name, _description(rng, tags), _region(rng, tags), price, rooms, opened, "|".join(told)]


def _description(rng: np.random.Generator, tags: set[str]) -> str:
    """A phrase or two of each tag, and some that fit any place, in any order."""
    phrases = [str(rng.choice(_PHRASES[tag])) for tag in sorted(tags) if rng.random() < 0.9]
    phrases += rng.choice(_ANYWHERE, size=int(rng.integers(1, 4)), replace=False).tolist()
    text = ", ".join(rng.permutation(phrases).tolist())
    return f"{text[0].upper()}{text[1:]}."


def _region(rng: np.random.Generator, tags: set[str]) -> str:
    weights = np.ones(len(_REGIONS))
    for tag, region, weight in (
        ("beach", 0, 6.0),
        ("hiking", 1, 4.0),
        ("quiet", 2, 2.0),
        ("nightlife", 3, 4.0),
    ):
        weights[region] += weight * (tag in tags)
    return str(rng.choice(_REGIONS, p=weights / weights.sum()))
