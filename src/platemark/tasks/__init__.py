"""One small class per stage, each with ``from_pretrained`` and ``__call__``."""
