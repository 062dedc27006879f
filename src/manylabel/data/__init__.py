"""Data sets, their splits, and the views that training draws of a batch."""

from manylabel.data import views
from manylabel.data.dataset import DataSet, Rows
from manylabel.data.description import describe
from manylabel.data.fraction import take_fraction
from manylabel.data.loading import load, names
from manylabel.data.splits import split_validation

__all__ = ["DataSet", "Rows", "describe", "load", "names", "split_validation", "take_fraction", "views"]
