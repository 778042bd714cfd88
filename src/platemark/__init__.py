"""Find and read licence plates in photos; find, segment and identify stamps on documents.

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
    from platemark.client import Client as Client
    from platemark.errors import PlatemarkError as PlatemarkError
    from platemark.imaging.image import Image as Image
    from platemark.masks import InkCrop as InkCrop
    from platemark.masks import InkMask as InkMask
    from platemark.masks import SoftMask as SoftMask
    from platemark.plates.pipeline import PlatePipeline as PlatePipeline
    from platemark.registry import Candidate as Candidate
    from platemark.registry import Design as Design
    from platemark.registry import Registry as Registry
    from platemark.registry import Sample as Sample
    from platemark.stamps.pipeline import StampPipeline as StampPipeline
    from platemark.tasks.comparer import Comparer as Comparer
    from platemark.tasks.detector import Detector as Detector
    from platemark.tasks.embedder import Embedder as Embedder
    from platemark.tasks.plate_classifier import PlateClassifier as PlateClassifier
    from platemark.tasks.plate_reader import PlateReader as PlateReader
    from platemark.tasks.segmenter import Segmenter as Segmenter
    from platemark.tasks.stamp_reader import StampReader as StampReader
    from platemark.tasks.verifier import Verifier as Verifier
    from platemark.types import Alternative as Alternative
    from platemark.types import Character as Character
    from platemark.types import Comparison as Comparison
    from platemark.types import Crop as Crop
    from platemark.types import Detection as Detection
    from platemark.types import Embedding as Embedding
    from platemark.types import Failure as Failure
    from platemark.types import Identity as Identity
    from platemark.types import Obscured as Obscured
    from platemark.types import Orientation as Orientation
    from platemark.types import PlateClasses as PlateClasses
    from platemark.types import PlateMark as PlateMark
    from platemark.types import Reading as Reading
    from platemark.types import RedactedFile as RedactedFile
    from platemark.types import Region as Region
    from platemark.types import Result as Result
    from platemark.types import StampField as StampField
    from platemark.types import StampMark as StampMark
    from platemark.types import StripCharacter as StripCharacter
    from platemark.types import TextLine as TextLine
    from platemark.usecases.compare import compare as compare
    from platemark.usecases.export import to_pandas as to_pandas
    from platemark.usecases.redact import redact as redact

    __version__: str

# Where the public names are; a module is loaded when one of its names is first asked for, so that
# the import of the package stays quick.
_NAMES = {
    "client": "Client",
    "errors": "PlatemarkError",
    "imaging.image": "Image",
    "masks": "InkCrop InkMask SoftMask",
    "plates.pipeline": "PlatePipeline",
    "registry": "Candidate Design Registry Sample",
    "stamps.pipeline": "StampPipeline",
    "tasks.comparer": "Comparer",
    "tasks.detector": "Detector",
    "tasks.embedder": "Embedder",
    "tasks.plate_classifier": "PlateClassifier",
    "tasks.plate_reader": "PlateReader",
    "tasks.segmenter": "Segmenter",
    "tasks.stamp_reader": "StampReader",
    "tasks.verifier": "Verifier",
    "types": "Alternative Character Comparison Crop Detection Embedding Failure Identity Obscured "
    "Orientation PlateClasses PlateMark Reading RedactedFile Region Result StampField StampMark "
    "StripCharacter TextLine",
    "usecases.compare": "compare",
    "usecases.export": "to_pandas",
    "usecases.redact": "redact",
}
_HOMES = {name: f"platemark.{home}" for home, names in _NAMES.items() for name in names.split()}
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        value: Any = import_module("importlib.metadata").version("platemark")
    else:
        value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
