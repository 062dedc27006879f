"""Figures of reports and reproductions."""
