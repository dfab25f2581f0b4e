"""The passes in the order in which a program goes through them."""

from collections.abc import Callable
from typing import TypeAlias

from compiler.ir import TensorGraph, verify
from compiler.passes.base import Pass
from compiler.passes.cse import ShareCommon
from compiler.passes.dce import RemoveDead
from compiler.passes.fold import FoldConstants
from compiler.passes.fuse import Fuse
from compiler.passes.simplify import Simplify

Observer: TypeAlias = Callable[[str, TensorGraph], None]

_CLEAN: tuple[Pass, ...] = (FoldConstants(), Simplify(), ShareCommon(), RemoveDead())

PIPELINE: tuple[tuple[Pass, ...], ...] = (_CLEAN, (Fuse(), *_CLEAN))
"""Groups of passes; each group repeats until nothing changes, at most `MAX_ROUNDS` times."""

MAX_ROUNDS = 16

PASS_NAMES: tuple[str, ...] = tuple(dict.fromkeys(step.name for group in PIPELINE for step in group))


def run_pipeline(graph: TensorGraph, *, check: bool = False, observe: Observer | None = None) -> TensorGraph:
    """Return the optimized graph: the same signature, the same bits.

    With `check` every intermediate graph is verified (`InternalError`); `observe` is called with the name of each pass
    and its result, every time that the pass runs.
    """
    for group in PIPELINE:
        for _ in range(MAX_ROUNDS):
            before = graph
            for step in group:
                graph = step.run(graph)
                if check:
                    verify(graph)
                if observe is not None:
                    observe(step.name, graph)
            if graph == before:
                break
    return graph
