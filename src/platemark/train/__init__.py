"""Training of the networks; the only part that needs PyTorch (``platemark[train]``)."""
