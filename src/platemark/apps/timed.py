"""Parts of pipelines whose calls are timed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Timed:
    """A part whose calls are timed; in everything else the part itself.

    Args:
        part: Any part of a pipeline.
        time: Times what is done within the block that it opens.
    """

    def __init__(
        self, part: Callable[..., Any], time: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._part, self._time = part, time

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the part."""
        with self._time():
            return self._part(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        """What the part has."""
        return getattr(self._part, name)
