"""Style of all figures: colours, fonts, and names from outside shown as they are.

Every name goes through :func:`short` or :func:`wrapped`, every legend through :func:`legend`; formulas are off.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from manylabel import files
from manylabel.errors import missing_extra
from manylabel.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#000000")
INK, FAINT = "#222222", "#E4E4E4"
CHARACTERS_PER_INCH = 12
FONT = "DejaVu Sans"  # ships with matplotlib
FONTS_OF_OTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
    "Noto Sans",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Nirmala UI",
    "Segoe UI",
    "Segoe UI Symbol",
    "Arial Unicode MS",
)

STYLE: Any = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "text.usetex": False,
    "axes.formatter.use_mathtext": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "grid.color": FAINT,
    "figure.dpi": 130.0,
    "svg.hashsalt": "manylabel",  # the same study gives the same file
}


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows, in words."""

    figure: Figure
    title: str
    caption: str
    alt: str

    def save(self, path: Path) -> None:
        """Write it in the format of the ending, png or svg."""
        files.write(path, self._svg if path.suffix == ".svg" else self._drawn(path.suffix[1:]))

    def data_uri(self) -> str:
        """The picture as an SVG that a page can hold."""
        return "data:image/svg+xml;base64," + base64.b64encode(self._svg).decode()

    @cached_property
    def _svg(self) -> bytes:
        """Drawn once for the page and the file beside it."""
        return self._drawn("svg", {"Date": None})

    def _drawn(self, form: str, metadata: Mapping[str, str | None] | None = None) -> bytes:
        buffer = io.BytesIO()
        with styled():
            self.figure.savefig(buffer, format=form, metadata=metadata or {})
        return buffer.getvalue()


def require_matplotlib() -> None:
    """Raise a ManyLabelError that says how to install it where it is missing."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise missing_extra("the report", "matplotlib", "track")


@contextmanager
def styled() -> Iterator[None]:
    """Make and save figures in here; a sign that no font has is drawn as a box, without a word."""
    import matplotlib

    with matplotlib.rc_context({**STYLE, "font.family": [FONT, *_other_fonts()]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


@cache
def _other_fonts() -> list[str]:
    """Fonts of this machine for names in scripts that the first one lacks."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return [font for font in FONTS_OF_OTHER_SCRIPTS if font in installed]


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def colours(methods: Sequence[str]) -> dict[str, str]:
    """One colour per method, the same in every picture."""
    return {method: PALETTE[i % len(PALETTE)] for i, method in enumerate(methods)}


def short(name: str, most: int = 28) -> str:
    """A name as a picture shows it, cut after so many characters."""
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def wrapped(name: str, inches: float) -> str:
    """A whole name as a picture shows it, in as many lines as the width takes; breaks go where they read best."""
    most = max(8, int(CHARACTERS_PER_INCH * inches))
    lines = [""]
    for part in re.findall(r"[^\s,\[=./_-]*[\s,\[=./_-]?", printable(name)):
        if len(lines[-1]) + len(part.rstrip()) > most and lines[-1]:
            lines.append("")
        while len(part) > most:
            lines[-1:] = [part[:most], ""]
            part = part[most:]
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines if line.strip())


def room_for(titles: Sequence[str]) -> float:
    """Inches that the lines of the longest title take beyond its first."""
    return 0.16 * max((title.count("\n") for title in titles), default=0)


def legend(
    figure: Figure,
    handles: Sequence[Any],
    names: Sequence[str],
    place: Literal["upper center", "lower center"],
    most: int = 6,
    **options: Any,
) -> None:
    """A legend of every name, also of those that begin with an underscore, in as many columns as the width takes."""
    inches = figure.get_figwidth()
    texts = [wrapped(name, 0.85 * inches) for name in names]
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    columns = int(CHARACTERS_PER_INCH * inches / (longest + 7))
    columns = max(1, min(columns, len(texts), most))
    # Matplotlib leaves out entries with an underscore in front: such a text is set afterwards
    loc: Any = f"outside {place}"
    drawn = figure.legend(handles, ["."] * len(texts), loc=loc, ncols=columns, **options)
    for entry, text in zip(drawn.get_texts(), texts, strict=True):
        entry.set_text(text)
