"""Compile tensor programs for a 2D mesh of cores."""
