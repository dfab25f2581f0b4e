"""Leaving out, at compile time, what is zero or never looked at."""

from compiler.prune.options import Mode, PruneOptions
from compiler.prune.solve import Pruned, prune

__all__ = ["Mode", "PruneOptions", "Pruned", "prune"]
