"""The values that move between the stages, and their JSON.

Convention: a point is ``(x, y)`` in continuous pixels of the original image after EXIF rotation;
pixel column ``j`` covers ``[j, j + 1)``, so the ``x1, y1`` of a box are exclusive. A quad is four
points, clockwise from the mark's own top-left. A score is a calibrated probability. In JSON,
coordinates have two decimals and scores four.
"""

from platemark.masks import InkCrop, InkMask
from platemark.types.base import Box, Crop, Detection, Point, Quad, as_box, as_quad
from platemark.types.plates import (
    ORIENTATIONS,
    Alternative,
    Character,
    Expectation,
    Frames,
    MergedPlate,
    Obscured,
    Orientation,
    PlateClasses,
    PlateMark,
    PlateView,
    Reading,
    Region,
    Watched,
)
from platemark.types.redacted import RedactedFile, RedactedPage
from platemark.types.result import Failure, Mark, Result
from platemark.types.stamps import (
    INK_COLORS,
    SCRIPTS,
    STAMP_SHAPES,
    VERDICTS,
    Comparison,
    Embedding,
    Evidence,
    Identity,
    Matrix,
    Script,
    StampField,
    StampMark,
    StripCharacter,
    TextLine,
    as_matrix,
)

__all__ = [
    "INK_COLORS",
    "ORIENTATIONS",
    "SCRIPTS",
    "STAMP_SHAPES",
    "VERDICTS",
    "Alternative",
    "Box",
    "Character",
    "Comparison",
    "Crop",
    "Detection",
    "Embedding",
    "Evidence",
    "Expectation",
    "Failure",
    "Frames",
    "Identity",
    "InkCrop",
    "InkMask",
    "Mark",
    "Matrix",
    "MergedPlate",
    "Obscured",
    "Orientation",
    "PlateClasses",
    "PlateMark",
    "PlateView",
    "Point",
    "Quad",
    "Reading",
    "RedactedFile",
    "RedactedPage",
    "Region",
    "Result",
    "Script",
    "StampField",
    "StampMark",
    "StripCharacter",
    "TextLine",
    "Watched",
    "as_box",
    "as_matrix",
    "as_quad",
]
