"""Reuters-21578 as its owner publishes it: news in 22 files of SGML, split by the rule that is known as ModApte."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.text_parts import TextPart, assemble_texts, with_remark
from manylabel.errors import ManyLabelError

_STORY = re.compile(r"<REUTERS\b(?P<marks>[^>]*)>(?P<content>.*?)</REUTERS>", re.S)
_MARK = re.compile(r'(\w+)="([^"]*)"')
_TOPICS, _TEXT, _TITLE, _BODY = (
    re.compile(rf"<{tag}\b[^>]*>(.*?)</{tag}>", re.S) for tag in ("TOPICS", "TEXT", "TITLE", "BODY")
)
_TOPIC, _TAGS = re.compile("<D>(.*?)</D>", re.S), re.compile(r"<(DATELINE|AUTHOR)>.*?</\1>|<[^>]*>", re.S)
_CONTROLS = re.compile(r"&#\d+;|[\x00-\x08\x0b-\x1f\x7f]")
_CLOSING = re.compile(r"\s*\bReuter\s*\Z", re.I)


@dataclass(frozen=True)
class _Story:
    """One story of either part."""

    is_training: bool
    topics: Sequence[str]
    text: str


def find_reuters(folder: Path) -> Path | None:
    """The folder itself, where it has files `reut2-000.sgm`, ...; None elsewhere."""
    return folder if _files(folder) else None


def read_reuters(folder: Path, about: About) -> DataSet:
    """Read the stories of the ModApte split, as they are used: with the topics that occur in both parts.

    Parameters
    ----------
    folder : Path
        With `reut2-000.sgm` to `reut2-021.sgm`.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line of a story that is not as it should be.

    Notes
    -----
    ModApte: stories marked TOPICS="YES" and LEWISSPLIT="TRAIN" or "TEST". Topics of one part only, and stories without
    another topic, are left out, which gives 90 topics, 7770 training and 3019 test stories. Title and body are joined
    by a line end; entities are resolved, control characters and the closing "Reuter" removed.
    """
    paths = _files(folder)
    stories = [story for path in paths for story in _stories(path)]
    of_part = [
        {topic for story in stories if story.is_training == part for topic in story.topics}
        for part in (True, False)
    ]
    names = sorted(of_part[0] & of_part[1])
    parts = {True: TextPart.of(folder), False: TextPart.of(folder)}
    left = 0
    for story in stories:
        topics = [topic for topic in story.topics if topic in of_part[0] & of_part[1]]
        if topics:
            parts[story.is_training].add(story.text, topics)
        left += not topics
    if not names:
        raise ManyLabelError(str(folder), "topics that occur in both parts of ModApte", "none")
    told = f"{left} stories of ModApte without one of the {len(names)} topics of both parts are left out."
    return assemble_texts(with_remark(about, told), parts[True], parts[False], label_names=names)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("reut2-*.sgm"))


def _stories(path: Path) -> Iterator[_Story]:
    """The stories of ModApte in one file."""
    with border(path, "stories in SGML"):
        content = path.read_bytes().decode("latin-1")
    end = 0
    for found in _STORY.finditer(content):
        between = content[end : found.start()]
        if "<REUTERS" in between:
            raise _unfinished(path, content, end + between.index("<REUTERS"))
        end = found.end()
        marks = dict(_MARK.findall(found["marks"]))
        if "TOPICS" not in marks or "LEWISSPLIT" not in marks:
            where = f"{path}, line {_line(content, found.start())}"
            raise ManyLabelError(where, "a story marked TOPICS and LEWISSPLIT", shown(found[0]))
        split = marks["LEWISSPLIT"]
        if marks["TOPICS"] == "YES" and split in ("TRAIN", "TEST"):
            yield _Story(split == "TRAIN", _topics(found["content"]), _text(path, content, found))
    if "<REUTERS" in content[end:]:
        raise _unfinished(path, content, content.index("<REUTERS", end))


def _topics(content: str) -> list[str]:
    found = _TOPICS.search(content)
    return [html.unescape(topic).strip() for topic in _TOPIC.findall(found[1])] if found else []


def _text(path: Path, content: str, story: re.Match[str]) -> str:
    text = _TEXT.search(story["content"])
    if text is None:
        where = f"{path}, line {_line(content, story.start())}"
        raise ManyLabelError(where, "a story with a TEXT", shown(story[0]))
    title, body = _TITLE.search(text[1]), _BODY.search(text[1])
    pieces = [found[1] for found in (title, body) if found] or [_TAGS.sub("", text[1])]
    return "\n".join(piece for piece in map(_plain, pieces) if piece)


def _plain(text: str) -> str:
    """Without entities, control characters and the closing word."""
    return _CLOSING.sub("", html.unescape(_CONTROLS.sub("", text))).strip()


def _line(content: str, at: int) -> int:
    return content.count("\n", 0, at) + 1


def _unfinished(path: Path, content: str, at: int) -> ManyLabelError:
    where = f"{path}, line {_line(content, at)}"
    return ManyLabelError(where, "</REUTERS> behind a story", shown(content[at:]))
