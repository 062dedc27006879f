"""Sections of a page of results, and the same sections in Markdown, in LaTeX and as the files of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from manylabel import files
from manylabel.study.analysis.figures.drawing import Picture
from manylabel.study.analysis.latex import in_latex, latex_table
from manylabel.study.analysis.tables import MEANING, Table
from manylabel.study.analysis.tables import in_markdown as text_in_markdown

MARKDOWN, LATEX, VALUES = "report.md", "report.tex", "values.csv"
BESIDE = f"Every value of every run is in {VALUES}, the tables in {MARKDOWN} and {LATEX}."


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, sentences, tables, pictures by file name."""

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What was found, and the page that shows it; beside it lie the tables in Markdown and LaTeX, and every value.

    Attributes
    ----------
    path : Path
        The HTML page.
    table : Table
    verdict : str
    beside : tuple of Path
        ``report.md``, ``report.tex`` and ``values.csv``.
    """

    path: Path
    table: Table
    verdict: str
    beside: tuple[Path, ...]


@dataclass(frozen=True)
class Text:
    """What a report says in every format, beside its sections.

    Attributes
    ----------
    title, verdict : str
    missing : sequence of str
        Runs that are not finished.
    protocol : str
        Of the thresholds.
    note : str
        How to read the tables.
    repeat : sequence of str
        Commands that make it again.
    """

    title: str
    verdict: str
    missing: Sequence[str]
    protocol: str
    note: str
    repeat: Sequence[str]


def save_pictures(sections: Sequence[Section], folder: Path, endings: Sequence[str]) -> None:
    """Write the pictures of all sections into a folder, each in some formats."""
    for section in sections:
        for name, picture in section.pictures.items():
            for ending in endings:
                picture.save(folder / f"{name}.{ending}")


def save_beside(page: Path, text: Text, sections: Sequence[Section], values: str) -> tuple[Path, ...]:
    """Write the tables in Markdown and LaTeX, every value as CSV and the pictures of a report beside its page.

    Parameters
    ----------
    page : Path
    text : Text
    sections : sequence of Section
    values : str
        CSV.

    Returns
    -------
    tuple of Path
        The files, without pictures.
    """
    save_pictures(sections, page.parent, ("svg",))
    contents = {
        MARKDOWN: "\n".join(_markdown_report(text, sections)),
        LATEX: "\n".join(in_latex_document(sections)),
        VALUES: values,
    }
    for name, content in contents.items():
        files.write(page.with_name(name), content.encode())
    return tuple(page.with_name(name) for name in contents)


def in_markdown(sections: Sequence[Section]) -> Iterator[str]:
    """Paragraphs; pictures are linked by file name as SVG."""
    for section in sections:
        yield f"## {text_in_markdown(section.title)}\n"
        yield from (f"{text_in_markdown(sentence)}\n" for sentence in section.sentences)
        for name, picture in section.pictures.items():
            yield f"![{text_in_markdown(picture.alt, between_brackets=True)}]({quote(name)}.svg)\n"
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


def _markdown_report(text: Text, sections: Sequence[Section]) -> Iterator[str]:
    yield f"# {text_in_markdown(text.title)}\n"
    yield f"{text_in_markdown(text.verdict)}\n"
    if text.missing:
        missing = text_in_markdown(", ".join(text.missing))
        yield f"**Not finished, and not part of this page: {missing}.**\n"
    yield f"Protocol {text.protocol}: {MEANING[text.protocol]}. {text.note}\n"
    yield from in_markdown(sections)
    yield "## Repeat it\n"
    yield from (f"```sh\n{command}\n```\n" for command in text.repeat)
