"""Searches of hyperparameters on rows of the training part."""
