"""Training of the shipped networks; the only part of platemark that needs PyTorch (``pip install platemark[train]``)."""
