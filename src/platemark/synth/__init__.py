"""Synthetic training images: plates drawn from their formats, seen by a simulated camera."""
