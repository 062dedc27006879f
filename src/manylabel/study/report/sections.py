"""Sections of a page of results, and the same sections in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from manylabel.study.analysis.figures.drawing import Picture
from manylabel.study.analysis.latex import in_latex, latex_table
from manylabel.study.analysis.tables import Table
from manylabel.study.analysis.tables import in_markdown as text_in_markdown


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, sentences, tables, pictures by file name."""

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)


def save_pictures(sections: Sequence[Section], folder: Path, endings: Sequence[str]) -> None:
    """Write the pictures of all sections into a folder, each in some formats."""
    for section in sections:
        for name, picture in section.pictures.items():
            for ending in endings:
                picture.save(folder / f"{name}.{ending}")


def in_markdown(sections: Sequence[Section]) -> Iterator[str]:
    """Paragraphs; pictures are linked by file name as SVG."""
    for section in sections:
        yield f"## {text_in_markdown(section.title)}\n"
        yield from (f"{text_in_markdown(sentence)}\n" for sentence in section.sentences)
        for name, picture in section.pictures.items():
            yield f"![{text_in_markdown(picture.alt)}]({quote(name)}.svg)\n"
            yield f"{text_in_markdown(picture.caption)}\n"
        for table in section.tables:
            yield f"**{text_in_markdown(table.title)}**\n"
            yield f"{table.markdown()}\n"


def in_latex_document(sections: Sequence[Section]) -> Iterator[str]:
    """The sentences and tables as a part of a document that uses booktabs; pictures are left out."""
    yield "% \\usepackage{booktabs}\n"
    for section in sections:
        if section.tables:
            yield f"\\section*{{{in_latex(section.title)}}}\n"
            yield from (f"{in_latex(sentence)}\n" for sentence in section.sentences)
            yield from (f"{latex_table(table)}\n" for table in section.tables)
