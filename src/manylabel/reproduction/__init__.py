"""Reproductions: published tables and figures, and comparisons over many data sets, by name.

:data:`catalogue.ITEMS` lists them, a :class:`Request` has the plan of their cells, and :func:`write` makes the page.
"""

from manylabel.reproduction.page import Page, write
from manylabel.reproduction.request import Request

__all__ = ["Page", "Request", "write"]
