"""What the losses cost, as ratios measured in one run: ``manylabel bench losses``."""
