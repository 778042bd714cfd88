"""Synthetic training images: generated marks, seen by simulated cameras and scanners."""
