"""Leaving out, at compile time, what is zero or never looked at."""

from compiler.prune.certificates import Certificate
from compiler.prune.options import Mode, PruneOptions
from compiler.prune.render import render
from compiler.prune.solve import Pruned, prune

__all__ = ["Certificate", "Mode", "PruneOptions", "Pruned", "prune", "render"]
