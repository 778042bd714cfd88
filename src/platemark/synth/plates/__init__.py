"""Plates: textures of the plate formats, mounted in scenes, with corners and text."""

from platemark.synth.plates.dataset import generate, plate_formats

__all__ = ["generate", "plate_formats"]
