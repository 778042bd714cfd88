"""Stamps: designs without end, their imprints on documents, with masks and text."""

from platemark.synth.stamps.dataset import generate, stamp_shapes

__all__ = ["generate", "stamp_shapes"]
