"""HTML pages that need nothing else: one look, names from outside never markup."""

from __future__ import annotations

import json
from functools import partial
from importlib import resources
from typing import Any

from manylabel.printable import count, printable


def render_page(template: str, **values: Any) -> str:
    """A page.

    Parameters
    ----------
    template : str
        A file of this folder.
    **values
        What it shows.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        loader=FunctionLoader(_source),
    )
    environment.filters["tojson_text"] = partial(json.dumps, ensure_ascii=False)
    environment.globals["count"] = count
    return environment.get_template(template).render(**values)


def _source(template: str) -> str:
    return resources.files("manylabel.study.report").joinpath(template).read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """A value of the page without what a reader would not see; what the page itself wrote stays."""
    from markupsafe import Markup

    return printable(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value
