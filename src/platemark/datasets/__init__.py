"""Annotated images: the manifest, other tools' formats, splits, checks and contact sheets."""

from platemark.datasets.convert import Conversion, Dataset, convert
from platemark.datasets.manifest import (
    Manifest,
    ManifestEntry,
    PlateAnnotation,
    StampAnnotation,
    family_of,
    write_manifest,
)
from platemark.datasets.outlines import Reading

__all__ = [
    "Conversion",
    "Dataset",
    "Manifest",
    "ManifestEntry",
    "PlateAnnotation",
    "Reading",
    "StampAnnotation",
    "convert",
    "family_of",
    "write_manifest",
]
