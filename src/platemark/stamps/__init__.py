"""Stamps and seals: found, cut out of the print beneath, described, told apart."""
