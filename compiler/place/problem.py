"""What a placer is asked and what it answers."""

from dataclasses import dataclass

from compiler.target import Coord, Machine


@dataclass(frozen=True, slots=True)
class Block:
    """A core grid to be placed: `rows x columns` virtual cores; virtual core `(r, c)` has number `r * columns + c`.

    `corner` is the position that the rectangle's top left core must have, if that is not free.
    """

    name: str
    rows: int
    columns: int
    corner: Coord | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """Bytes that move from one end to the other; an end is a virtual core or, with `block == -1`, anchor `core`."""

    src_block: int
    src_core: int
    dst_block: int
    dst_core: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class PlaceProblem:
    """Blocks that are resident at the same time, the traffic between them, and the fixed positions (DRAM) they talk to.

    Positions are chosen in the *worker grid*: `machine.core_columns` x `machine.core_rows`, which skips columns and
    rows without cores; a block covers a rectangle of it.
    """

    machine: Machine
    blocks: tuple[Block, ...]
    anchors: tuple[Coord, ...]
    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a block's rectangle starts (indices into `core_columns` and `core_rows`) and whether it is mirrored."""

    column: int
    row: int
    mirror_columns: bool = False
    mirror_rows: bool = False


@dataclass(frozen=True, slots=True)
class PlaceSolution:
    """One placement per block. `cost` is the sum over flows of bytes x hops (the shorter NoC of the two)."""

    placements: tuple[Placement, ...]
    cost: int


def core_at(machine: Machine, block: Block, placement: Placement, number: int) -> Coord:
    """Return the position of virtual core `number` of `block`."""
    row, column = divmod(number, block.columns)
    if placement.mirror_rows:
        row = block.rows - 1 - row
    if placement.mirror_columns:
        column = block.columns - 1 - column
    return Coord(machine.core_columns[placement.column + column], machine.core_rows[placement.row + row])
