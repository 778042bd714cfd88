"""Whose stamps are these? What every face says of it."""

from typing import Any

from platemark.registry import Registry
from platemark.registry.calibration import FALSE_ACCEPTS
from platemark.types import Result, StampMark


def identified(
    registry: Registry, result: Result, top_k: int = 5, *, false_accepts: float = FALSE_ACCEPTS
) -> dict[str, Any]:
    """Return the JSON object of a page in which each stamp has its candidates and its identity.

    Args:
        registry: The known stamps.
        result: A page and its stamps, as a `StampPipeline` made it.
        top_k: Number of candidates for each stamp at most.
        false_accepts: Share of unknown stamps that may be accepted as known ones.

    Raises:
        VectorMismatch: The embeddings are of another model than those of the registry.
        ValueError: A stamp has no crop, or ``false_accepts`` is no share.
    """
    data = result.to_dict()
    for mark, said in zip(result.marks, data.get("marks", ()), strict=True):
        if isinstance(mark, StampMark):
            candidates = registry.identify(mark, top_k, false_accepts=false_accepts)
            said["identity"] = candidates[0].identity.to_dict() if candidates else None
            said["candidates"] = [candidate.to_dict() for candidate in candidates]
    return data
