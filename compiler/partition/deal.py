"""Deal the live blocks of a nest to cores so that all have about the same work.

Two ways: runs of consecutive blocks, which balance best; or tile rows to the rows of the core grid and tile columns to
its columns, so that cores in a row or a column need the same operands. Rows and columns are balanced by Graham's
longest-processing-time-first rule ("Bounds on Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17, 1969).
"""

import numpy as np

from compiler.partition.live import Numbers

Deal = tuple[tuple[int, ...], ...]


def segments(blocks: Numbers, weights: Numbers, cores: int) -> Deal:
    """Cut `blocks` into `cores` runs, none empty, of nearly equal sums of `weights`.

    No run weighs more than an equal share and the heaviest block. There are at least as many blocks as cores.
    """
    middles = np.cumsum(weights) - weights / 2
    targets = weights.sum() / cores * np.arange(1, cores)
    cuts = np.searchsorted(middles, targets)
    number = np.arange(cores - 1)
    cuts = np.maximum.accumulate(np.maximum(cuts, 1) - number) + number
    cuts = np.minimum(cuts, len(blocks) - cores + 1 + number)
    return tuple(tuple(run.tolist()) for run in np.split(blocks, cuts))


def product(blocks: Numbers, weights: Numbers, columns: int, grid: tuple[int, int]) -> Deal | None:
    """Deal tile rows to the rows of the core grid and tile columns, of which there are `columns`, to its columns.

    A core gets the blocks of its rows and columns in ascending order; None if some core would get none.
    """
    row, column = blocks // columns, blocks % columns
    core = _dealt(row, weights, grid[0])[row] * grid[1] + _dealt(column, weights, grid[1])[column]
    counts = np.bincount(core, minlength=grid[0] * grid[1])
    if not counts.all():
        return None
    order = np.argsort(core, kind="stable")
    return tuple(tuple(run.tolist()) for run in np.split(blocks[order], np.cumsum(counts)[:-1]))


def _dealt(lines: Numbers, weights: Numbers, parts: int) -> Numbers:
    """The part that each line goes to, given the line and the weight of every block: the heaviest line first, each to
    the part with the least so far, of equals to the one with the fewest lines."""
    sums = np.bincount(lines, weights)
    part = np.zeros(len(sums), np.int64)
    loads = [(0.0, 0, number) for number in range(parts)]
    for line in np.argsort(-sums, kind="stable"):
        load, count, number = min(loads)
        loads[number] = (load + float(sums[line]), count + 1, number)
        part[line] = number
    return part
