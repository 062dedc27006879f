"""RCV1-v2 as its owners publish it: stemmed words of news stories in files of tokens, and a file of their topics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.lines import part_of, text_lines
from manylabel.data.formats.text_parts import TextPart, assemble_texts
from manylabel.errors import ManyLabelError

_TOPICS = "rcv1-v2.topics.qrels"
_TRAIN = "lyrl2004_tokens_train.dat"
_TEST = tuple(f"lyrl2004_tokens_test_pt{i}.dat" for i in range(4))
_FORM = "`.I` and the number of a story, `.W`, then its words"


def find_rcv1(folder: Path) -> Path | None:
    """The folder itself, where it has the file of topics and that of training stories; None elsewhere."""
    return folder if part_of(folder, _TOPICS) and part_of(folder, _TRAIN) else None


def read_rcv1(folder: Path, about: About) -> DataSet:
    """Read the training stories, those test stories that are there, and their topics.

    Parameters
    ----------
    folder : Path
        With `rcv1-v2.topics.qrels`, `lyrl2004_tokens_train.dat` and `lyrl2004_tokens_test_pt0.dat` to `pt3`, packed or
        not.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.

    Notes
    -----
    Labels stand in the order of their names. Texts are the published words: stemmed, without the most frequent ones.
    """
    topics = part_of(folder, _TOPICS)
    train = part_of(folder, _TRAIN)
    assert topics is not None, "found before"
    assert train is not None, "found before"
    labels = _topics(topics)
    test = TextPart.of(folder)
    for name in _TEST:
        if (path := part_of(folder, name)) is not None:
            _read(path, labels, test)
    names = sorted({name for found in labels.values() for name in found})
    part = _read(train, labels, TextPart.of(train))
    return assemble_texts(about, part, test if test.texts else None, label_names=names)


def _topics(path: Path) -> dict[str, list[str]]:
    """Number of a story -> its topics."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for number, line in text_lines(path, "topics of stories"):
        words = line.split()
        if words and (len(words) != 3 or not words[1].isdecimal()):
            raise ManyLabelError(
                f"{path}, line {number}", "a topic, the number of a story, and 1", shown(line)
            )
        if words:
            found[words[1]].append(words[0])
    return found


def _read(path: Path, labels: dict[str, list[str]], part: TextPart) -> TextPart:
    for line, number, words in _stories(path):
        if number not in labels:
            hint = f"Take the file {_TOPICS} that belongs to these stories."
            raise ManyLabelError(f"{path}, line {line}", "a story with topics", shown(number), hint)
        part.add(" ".join(words), labels[number])
    return part


def _stories(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, number and words of every story."""
    found: tuple[int, str, list[str]] | None = None
    has_words = False
    for line, text in text_lines(path, "stories", "latin-1"):
        if text.startswith(".I "):
            if found is not None:
                yield found
            found, has_words = (line, text[3:].strip(), []), False
        elif text.strip() == ".W" and found is not None:
            has_words = True
        elif text.strip():
            if found is None or not has_words:
                raise ManyLabelError(f"{path}, line {line}", _FORM, shown(text))
            found[2].append(text.strip())
    if found is not None:
        yield found
