"""Pack rectangles into the live cells of the worker grid: the start of the placer, and the partitioner's question.

Cells are numbered row by row over `machine.core_rows` x `machine.core_columns`; a set of cells is the bits of an
integer.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from compiler.place.problem import Block
from compiler.target import Machine

SEARCH_NODES = 300
"""Placements that the exhaustive search tries after the greedy orders have failed."""


_Choice = tuple[int, tuple[int, int]]
"""The cells that a rectangle covers, and its (column, row)."""


def grid_name(block: Block) -> str:
    """Return the block as a message names it: size, name and where it must be."""
    where = "" if block.corner is None else f" at core{block.corner}"
    return f"{block.rows} x {block.columns} `{block.name}`{where}"


def legal_starts(machine: Machine, block: Block) -> tuple[tuple[int, int], ...]:
    """Return the (column, row) of every rectangle of live cores that `block` may take, row by row."""
    return tuple(start for _, start in _options(machine, _worker_grid(machine), block))


def _options(machine: Machine, grid: tuple[int, int, int], block: Block) -> tuple[_Choice, ...]:
    choices = _choices(grid, block.rows, block.columns)
    if block.corner is None:
        return choices
    columns, rows, corner = machine.core_columns, machine.core_rows, block.corner
    return tuple(choice for choice in choices if (columns[choice[1][0]], rows[choice[1][1]]) == (corner.x, corner.y))


def pack(machine: Machine, blocks: Sequence[Block]) -> tuple[tuple[int, int], ...] | None:
    """Return a (column, row) for each block such that the rectangles are disjoint and live, or None.

    Tries a few greedy orders, then a bounded depth-first search: None is certain only for small problems.
    """
    if sum(block.rows * block.columns for block in blocks) > len(machine.cores):
        return None
    grid = _worker_grid(machine)
    options = [_options(machine, grid, block) for block in blocks]
    if not all(options):
        return None
    for key in _ORDERS:
        order = sorted(range(len(blocks)), key=lambda b: (blocks[b].corner is None, key(blocks[b]), b))
        for reverse in (False, True):
            found = _greedy(order, options, reverse)
            if found is not None:
                return found
    return _search(sorted(range(len(blocks)), key=lambda b: (_by_area(blocks[b]), b)), options)


def _by_area(block: Block) -> tuple[int, int, int]:
    return -block.rows * block.columns, -block.rows, -block.columns


def _by_rows(block: Block) -> tuple[int, int]:
    return -block.rows, -block.columns


def _by_columns(block: Block) -> tuple[int, int]:
    return -block.columns, -block.rows


_ORDERS: tuple[Callable[[Block], tuple[int, ...]], ...] = (_by_area, _by_rows, _by_columns)


def _worker_grid(machine: Machine) -> tuple[int, int, int]:
    """Return the number of columns and of rows, and the set of live cells."""
    columns, rows = machine.core_columns, machine.core_rows
    live = 0
    for coord in machine.cores:
        live |= 1 << (rows.index(coord.y) * len(columns) + columns.index(coord.x))
    return len(columns), len(rows), live


@lru_cache(maxsize=1024)
def _choices(grid: tuple[int, int, int], rows: int, columns: int) -> tuple[_Choice, ...]:
    """Return every rectangle of live cells of that size, row by row."""
    across, down, live = grid
    line = (1 << columns) - 1
    corner = sum(line << (row * across) for row in range(rows))
    starts = ((x, y) for y in range(down - rows + 1) for x in range(across - columns + 1))
    cells = ((corner << (y * across + x), (x, y)) for x, y in starts)
    return tuple(choice for choice in cells if choice[0] & ~live == 0)


def _greedy(
    order: Iterable[int], options: Sequence[tuple[_Choice, ...]], reverse: bool
) -> tuple[tuple[int, int], ...] | None:
    """Give each block in turn the first free rectangle, row by row or (with `reverse`) column by column."""
    taken = 0
    found: dict[int, tuple[int, int]] = {}
    for block in order:
        ranked = sorted(options[block], key=lambda choice: choice[1]) if reverse else options[block]
        chosen = next((choice for choice in ranked if not choice[0] & taken), None)
        if chosen is None:
            return None
        taken |= chosen[0]
        found[block] = chosen[1]
    return tuple(found[block] for block in range(len(options)))


def _search(order: Sequence[int], options: Sequence[tuple[_Choice, ...]]) -> tuple[tuple[int, int], ...] | None:
    """Depth-first over all rectangles of each block; equal blocks that follow one another take ascending ones."""
    cursors = [0]
    chosen: list[_Choice] = []
    taken = 0
    for _ in range(SEARCH_NODES):
        level = len(chosen)
        block = order[level]
        index = next((i for i in range(cursors[level], len(options[block])) if not options[block][i][0] & taken), None)
        if index is None:
            if level == 0:
                return None
            cursors.pop()
            taken &= ~chosen.pop()[0]
            continue
        cursors[level] = index + 1
        chosen.append(options[block][index])
        taken |= chosen[-1][0]
        if len(chosen) == len(order):
            return tuple(chosen[order.index(b)][1] for b in range(len(order)))
        same = options[order[level + 1]] is options[block]
        cursors.append(index + 1 if same else 0)
    return None
