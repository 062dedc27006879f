"""Executors: what runs the cells of a study."""
