"""Names of the parts of a data set: light, so that the command line starts without numpy."""

from typing import Literal

Split = Literal["train", "dev", "test"]
"""Part of a data set: to learn from, to choose by, and to report on."""
