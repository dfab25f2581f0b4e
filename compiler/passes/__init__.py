"""Graph passes, one file per pass, and the order in which they run."""

from compiler.passes.base import Pass
from compiler.passes.cse import ShareCommon
from compiler.passes.dce import RemoveDead
from compiler.passes.fold import FoldConstants
from compiler.passes.fuse import Fuse
from compiler.passes.pipeline import PASS_NAMES, PIPELINE, run_pipeline
from compiler.passes.simplify import Simplify

__all__ = [
    "PASS_NAMES",
    "PIPELINE",
    "FoldConstants",
    "Fuse",
    "Pass",
    "RemoveDead",
    "ShareCommon",
    "Simplify",
    "run_pipeline",
]
