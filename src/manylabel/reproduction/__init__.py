"""Reproductions: published tables and figures, and comparisons over many data sets, by name.

:data:`catalogue.ITEMS` lists them, :func:`carry_out` makes the runs of a :class:`Request`, and :func:`write` its page.
"""

from manylabel.reproduction.execution import Request, carry_out
from manylabel.reproduction.page import Page, write

__all__ = ["Page", "Request", "carry_out", "write"]
