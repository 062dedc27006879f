"""What is printed of a data set: its facts, the table of a paper beside them, and the way to its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manylabel.cli.output import print_rows, say
from manylabel.errors import ManyLabelError
from manylabel.printable import count

if TYPE_CHECKING:
    from manylabel.data import DataSet
    from manylabel.data.catalogue import Entry

# Statistic, its name in the paper's table, and where :func:`manylabel.data.describe` tells it.
_STATISTICS = (
    ("training rows", "train samples", ("train", "rows")),
    ("test rows", "test samples", ("test", "rows")),
    ("labels", "labels", ("labels",)),
    ("labels a training row", "mean labels train", ("train", "labels_per_row")),
    ("labels a test row", "mean labels test", ("test", "labels_per_row")),
)


def show_data_set(name: str, data_dir: Path | None, options: Mapping[str, Any]) -> None:
    """Print a data set in numbers; one whose files are not there as far as the catalogue tells, and how to get them."""
    from manylabel import data
    from manylabel.data.catalogue import OnlyByHand, catalogue

    entry = catalogue().get(name)
    try:
        dataset = data.load(name, data_dir, options=options)
    except OnlyByHand as error:
        assert entry is not None, "it raised the error"
        print_rows(("fact", "value"), list(_of_entry(entry)))
        _show_published(entry.published or name, None)
        say(error.hint)
        return
    print_rows(("fact", "value"), list(facts_in_words(data.describe(dataset))))
    if entry is not None:
        _show_published(entry.published or name, dataset)


def read_options(given: Sequence[str] | None) -> dict[str, Any]:
    """Settings of a reader from ``NAME=VALUE``; values are read as JSON where they are.

    Raises
    ------
    ManyLabelError
        For a setting without a value.
    """
    import json

    found: dict[str, Any] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ManyLabelError("`read`", "settings as NAME=VALUE", repr(text))
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _of_entry(entry: Entry) -> Iterator[tuple[str, str]]:
    """What the catalogue knows of a data set."""
    n_train, n_test = entry.rows or (None, None)
    facts = {
        "name": entry.name,
        "about": entry.about,
        "training rows" if n_test else "rows": n_train,
        "test rows": n_test or None,
        "features": entry.features,
        "labels": entry.labels,
        "split": entry.split,
        "source": entry.source,
        "licence": entry.licence,
        "to agree to": entry.agreement or None,
        "reference": entry.reference,
    }
    yield from ((name, str(value)) for name, value in facts.items() if value is not None)


def _show_published(name: str, dataset: DataSet | None) -> None:
    """Print a paper's statistics of a data set, and beside them those of the rows that were read."""
    from manylabel import data
    from manylabel.reproduction import published

    figures = published.figures("table 1").get(name, {}).get("data set")
    if figures is None:
        return
    told = {} if dataset is None else data.describe(dataset)
    rows = []
    for statistic, of_paper, place in _STATISTICS:
        here: Any = told
        for key in place:
            here = here.get(key, {}) if isinstance(here, Mapping) else here
        rows.append((statistic, "" if here == {} else str(here), f"{figures[of_paper]:g}"))
    if dataset is not None:
        labelled = [str(int((part.Y.row_counts() > 0).sum())) for part in (dataset.train, dataset.test)]
        rows.insert(2, ("rows with a label", " / ".join(labelled), ""))
    print_rows(("statistic", "here", "table 1"), rows)
    say(
        f"Table 1 of {published.source('mulsupcon').split('. Thresholds')[0]}. It leaves out rows without labels."
    )


def facts_in_words(described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and value of each fact, in words."""
    for name, value in described.items():
        fact = name.replace("_", " ")
        if name in ("most_frequent", "least_frequent"):
            yield from (
                (f"{fact} label", f"{label}: {count(n, 'training row')}") for label, n in value.items()
            )
        elif isinstance(value, Mapping):
            yield from ((f"{fact}: {part.replace('_', ' ')}", str(number)) for part, number in value.items())
        elif isinstance(value, list):
            yield from ((fact.removesuffix("s"), text) for text in value)
        else:
            yield fact, "n/a" if value is None else str(value)
