"""Licence plates: their formats and the pipeline that finds and reads them."""
