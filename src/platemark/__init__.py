"""Find and read licence plates in photos; find, cut out and tell apart stamps on documents.

::

    import platemark as pm

    plates = pm.PlatePipeline.from_pretrained()
    for mark in plates("car.jpg").marks:
        print(mark.text, mark.score, mark.box)

    stamps = pm.StampPipeline.from_pretrained()
    for page in stamps.pages("contract.pdf"):
        for mark in page.marks:
            print(page.page, mark.color, mark.shape, mark.rotation, mark.score)

    registry = pm.Registry.open("stamps.db")
    registry.add("ACME Ltd", mark)
    for candidate in registry.identify(mark, top_k=5):
        print(candidate.design.name, candidate.similarity, candidate.score, candidate.accepted)

    found = pm.compare("contract.pdf", "known-stamp.png")
    print(found.verdict, found.score, found.reason)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platemark.client import Client
    from platemark.errors import PlatemarkError
    from platemark.imaging.image import Image
    from platemark.masks import InkCrop, InkMask, SoftMask
    from platemark.plates.pipeline import PlatePipeline
    from platemark.registry import Candidate, Design, Registry, Sample
    from platemark.stamps.pipeline import StampPipeline
    from platemark.tasks.comparer import Comparer
    from platemark.tasks.detector import Detector
    from platemark.tasks.embedder import Embedder
    from platemark.tasks.plate_reader import PlateReader
    from platemark.tasks.segmenter import Segmenter
    from platemark.tasks.verifier import Verifier
    from platemark.types import (
        Alternative,
        Character,
        Comparison,
        Crop,
        Detection,
        Embedding,
        Failure,
        Identity,
        Obscured,
        PlateMark,
        Reading,
        Region,
        Result,
        StampMark,
        TextLine,
    )
    from platemark.usecases.compare import compare
    from platemark.usecases.export import to_pandas

    __version__: str

__all__ = [
    "Alternative",
    "Candidate",
    "Character",
    "Client",
    "Comparer",
    "Comparison",
    "Crop",
    "Design",
    "Detection",
    "Detector",
    "Embedder",
    "Embedding",
    "Failure",
    "Identity",
    "Image",
    "InkCrop",
    "InkMask",
    "Obscured",
    "PlateMark",
    "PlatePipeline",
    "PlateReader",
    "PlatemarkError",
    "Reading",
    "Region",
    "Registry",
    "Result",
    "Sample",
    "Segmenter",
    "SoftMask",
    "StampMark",
    "StampPipeline",
    "TextLine",
    "Verifier",
    "__version__",
    "compare",
    "to_pandas",
]

# Loaded when first asked for, so that the import of the package stays quick.
_HOMES = {
    "Candidate": "platemark.registry",
    "Client": "platemark.client",
    "Comparer": "platemark.tasks.comparer",
    "Design": "platemark.registry",
    "Detector": "platemark.tasks.detector",
    "Embedder": "platemark.tasks.embedder",
    "Image": "platemark.imaging.image",
    "InkCrop": "platemark.masks",
    "InkMask": "platemark.masks",
    "PlatePipeline": "platemark.plates.pipeline",
    "PlateReader": "platemark.tasks.plate_reader",
    "PlatemarkError": "platemark.errors",
    "Registry": "platemark.registry",
    "Sample": "platemark.registry",
    "Segmenter": "platemark.tasks.segmenter",
    "SoftMask": "platemark.masks",
    "StampPipeline": "platemark.stamps.pipeline",
    "Verifier": "platemark.tasks.verifier",
    "compare": "platemark.usecases.compare",
    "to_pandas": "platemark.usecases.export",
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
    return list(__all__)
