"""Stages that compute only the live part of a nest: irregular sets of blocks instead of boxes.

A nest with `live` iterations is cut into blocks of `stage.block[:2]` tile rows and columns of the result (1 along all
other axes) and steps of `stage.block[2]` tiles of the innermost reduced axis (1 along the others). Every block and every
step is either live as a whole or not at all: only such block shapes are used. The blocks that hold live pages of the
result are dealt to the cores; a core works on its list as panels, blocks, chunks and steps:

- a *panel* is a run of consecutive blocks in the same tile rows (all coordinates but the last are equal);
- a block has its live steps in ascending order (none for a map; maybe none where the result is what the epilogue makes
  of the neutral element);
- a *chunk* is at most `CHUNK` consecutive steps of a block.

The level of an operand (`OperandPlan.level`) says when it is loaded: 0 once per core, 1 per panel, 2 per block, 3 per
chunk. A load brings every operand block that its part of the work needs, each once, in order of first use.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

CHUNK = 8
"""Most steps of a chunk: enough to hide the latency of one load behind the products of another."""


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one core, in order.

    `blocks` (n x rank of the result) and `steps` (m x number of reduced axes) hold the first tile of each. Bounds:
    panel `i` is blocks `panels[i] ..< panels[i + 1]`, block `i` chunks `chunk_bounds[i] ..< chunk_bounds[i + 1]`, chunk
    `i` steps `step_bounds[i] ..< step_bounds[i + 1]`.
    """

    blocks: Numbers
    panels: Numbers
    chunk_bounds: Numbers
    step_bounds: Numbers
    steps: Numbers


@dataclass(frozen=True, slots=True)
class Loads:
    """What a core loads of one operand, in order.

    Load `i` brings `counts[i]` operand blocks, whose first pages are the next of `pages`; an operand block has
    `extents` tiles per axis of the space (1 where the stride is 0), its pages lie row-major over them in the cb, and
    operand block `j` of a load begins at page `j * prod(extents)`. `places[s]` is the number, inside the load at hand,
    of the operand block that step `s` uses (block `s`, where the operand is used once per block).
    """

    counts: Numbers
    pages: Numbers
    extents: tuple[int, ...]
    places: Numbers
