"""Synthetic training images: marks drawn from nothing, seen by simulated cameras and scanners."""
