"""Annotated images: the one annotation format, read, checked and written."""

from platemark.datasets.manifest import Manifest, ManifestEntry, PlateAnnotation, write_manifest

__all__ = ["Manifest", "ManifestEntry", "PlateAnnotation", "write_manifest"]
