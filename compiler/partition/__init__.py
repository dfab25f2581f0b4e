"""Decide which part of which tensor is where, and which operations are resident together."""
