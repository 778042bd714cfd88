"""Annotated images: the manifest, other tools' formats, splits, checks and contact sheets."""

from platemark.datasets.check import Check, check_dataset
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
from platemark.datasets.report import write_check
from platemark.datasets.review import Proposal, ReviewImage, ReviewStore, Revision
from platemark.datasets.show import Sheets, show_dataset
from platemark.datasets.split import REASONS, Splitting, split_dataset

__all__ = [
    "REASONS",
    "Check",
    "Conversion",
    "Dataset",
    "Manifest",
    "ManifestEntry",
    "PlateAnnotation",
    "Proposal",
    "Reading",
    "ReviewImage",
    "ReviewStore",
    "Revision",
    "Sheets",
    "Splitting",
    "StampAnnotation",
    "check_dataset",
    "convert",
    "family_of",
    "show_dataset",
    "split_dataset",
    "write_check",
    "write_manifest",
]
