"""Stamps and seals: found, segmented from the print beneath, described, distinguished."""
