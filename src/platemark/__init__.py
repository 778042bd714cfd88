"""Find and read licence plates in images.

::

    import platemark as pm

    plates = pm.PlatePipeline.from_pretrained()
    for mark in plates("car.jpg").marks:
        print(mark.text, mark.score, mark.box)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platemark.errors import PlatemarkError
    from platemark.imaging.image import Image
    from platemark.plates.pipeline import PlatePipeline
    from platemark.tasks.detector import Detector
    from platemark.tasks.plate_reader import PlateReader
    from platemark.types import (
        Alternative,
        Character,
        Crop,
        Detection,
        Failure,
        Obscured,
        PlateMark,
        Reading,
        Region,
        Result,
    )

    __version__: str

__all__ = [
    "Alternative",
    "Character",
    "Crop",
    "Detection",
    "Detector",
    "Failure",
    "Image",
    "Obscured",
    "PlateMark",
    "PlatePipeline",
    "PlateReader",
    "PlatemarkError",
    "Reading",
    "Region",
    "Result",
    "__version__",
]

# Loaded when first asked for, so that the import of the package stays quick.
_HOMES = {
    "Detector": "platemark.tasks.detector",
    "Image": "platemark.imaging.image",
    "PlatePipeline": "platemark.plates.pipeline",
    "PlateReader": "platemark.tasks.plate_reader",
    "PlatemarkError": "platemark.errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("platemark")
    else:
        value = getattr(import_module(_HOMES.get(name, "platemark.types")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
