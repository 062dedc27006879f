"""Stacking: several methods cross-fitted on the training rows, combined by what their out-of-fold scores are worth."""
