"""Emit the programs of every core from placed stages."""
