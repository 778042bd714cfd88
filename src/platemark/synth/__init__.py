"""Synthetic training images: plates drawn from their formats, then photographed by a simulated camera."""
