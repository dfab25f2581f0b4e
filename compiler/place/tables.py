"""What the annealer knows of each block: its placements, and what each costs."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.place.pack import legal_starts
from compiler.place.problem import Block, Placement, PlaceProblem
from compiler.target import Coord, Machine, Noc, Topology

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTable:
    """One block of `cores` virtual cores on a worker grid of `cells` cells, numbered row by row.

    `sites[p, i]` is the cell of virtual core `i` under placement `p`; `static[p]` is the cost of the flows inside the
    block and to anchors. The flows to other blocks, `peers` in this order, are `own_core[f]`, the number `peer_core[f]`
    of the far core (counted through all peers), and `weight[f]`; the first `outgoing` of them leave the block
    (or need not be told apart, the distances being symmetric).
    `distance[a, b]` is in hops, with a pseudo-cell `cells` at distance zero.
    """

    cells: int
    cores: int
    placements: tuple[Placement, ...]
    sites: Ints
    static: Floats
    peers: tuple[int, ...]
    own_core: Ints
    peer_core: Ints
    weight: Floats
    outgoing: int
    distance: Floats

    def index_of(self, column: int, row: int) -> int:
        """Return the number of the unmirrored placement that starts at (column, row)."""
        return self.placements.index(Placement(column, row))

    def free(self, taken: Ints) -> NDArray[np.bool_]:
        """Say of each placement whether all its cells have a zero in `taken`."""
        return np.asarray(taken[self.sites].max(axis=1) == 0)

    def pull(self, peer_sites: Ints) -> Floats:
        """Return for each placement the cost of the flows to other blocks, whose cores stand at `peer_sites`."""
        index = self.own_core * (self.cells + 1) + peer_sites[self.peer_core]
        size = self.cores * (self.cells + 1)
        cut = self.outgoing
        leaving = np.bincount(index[:cut], self.weight[:cut], size).reshape(self.cores, -1)
        # cost_at[i, a]: what it costs to have virtual core i in cell a.
        cost_at = leaving @ self.distance.T
        if cut < len(index):
            cost_at += np.bincount(index[cut:], self.weight[cut:], size).reshape(self.cores, -1) @ self.distance
        return np.asarray(cost_at[np.arange(self.cores), self.sites].sum(axis=1))


def build_tables(problem: PlaceProblem) -> tuple[BlockTable, ...]:
    """Build the table of every block of `problem`."""
    machine = problem.machine
    cells = [Coord(x, y) for y in machine.core_rows for x in machine.core_columns]
    inner = np.zeros((len(cells) + 1, len(cells) + 1))
    inner[:-1, :-1] = _distances(machine, cells, cells)
    anchors = list(problem.anchors)
    to_anchor, from_anchor = _distances(machine, cells, anchors), _distances(machine, anchors, cells)
    flows = np.array(
        [(f.src_block, f.src_core, f.dst_block, f.dst_core, f.nbytes) for f in problem.flows], dtype=np.int64
    ).reshape(-1, 5)
    bases = np.cumsum([0] + [block.rows * block.columns for block in problem.blocks])
    return tuple(
        _build_table(machine, problem.blocks, number, flows, bases, inner, to_anchor, from_anchor)
        for number in range(len(problem.blocks))
    )


def anchor_cost(problem: PlaceProblem) -> int:
    """Return the cost of the flows from anchor to anchor, which no placement changes."""
    anchors = list(problem.anchors)
    hops = _distances(problem.machine, anchors, anchors)
    fixed = (flow for flow in problem.flows if flow.src_block < 0 and flow.dst_block < 0)
    return sum(flow.nbytes * int(hops[flow.src_core, flow.dst_core]) for flow in fixed)


def _build_table(
    machine: Machine,
    blocks: tuple[Block, ...],
    number: int,
    flows: Ints,
    bases: Ints,
    inner: Floats,
    to_anchor: Floats,
    from_anchor: Floats,
) -> BlockTable:
    block = blocks[number]
    placements = _placements(machine, block)
    sites = np.array([_cells(machine, block, p) for p in placements], dtype=np.int64)
    leaves, enters = flows[:, 0] == number, flows[:, 2] == number
    static = np.zeros(len(placements))
    for src, dst, nbytes in _totals(flows[leaves & enters][:, [1, 3, 4]]):
        static += nbytes * inner[sites[:, src], sites[:, dst]]
    for src, dst, nbytes in _totals(flows[leaves & (flows[:, 2] < 0)][:, [1, 3, 4]]):
        static += nbytes * to_anchor[sites[:, src], dst]
    for src, dst, nbytes in _totals(flows[enters & (flows[:, 0] < 0)][:, [1, 3, 4]]):
        static += nbytes * from_anchor[src, sites[:, dst]]
    leaving = flows[leaves & ~enters & (flows[:, 2] >= 0)]
    entering = flows[enters & ~leaves & (flows[:, 0] >= 0)][:, [2, 3, 0, 1, 4]]
    others = np.concatenate([leaving, entering])
    peers = np.unique(others[:, 2])
    shifts = np.zeros(len(blocks), dtype=np.int64)
    lengths = np.diff(bases)[peers]
    shifts[peers] = np.cumsum(lengths) - lengths
    return BlockTable(
        cells=len(inner) - 1,
        cores=block.rows * block.columns,
        placements=placements,
        sites=sites,
        static=static,
        peers=tuple(int(peer) for peer in peers),
        own_core=others[:, 1],
        peer_core=shifts[others[:, 2]] + others[:, 3],
        weight=others[:, 4].astype(np.float64),
        outgoing=len(others) if np.array_equal(inner, inner.T) else len(leaving),
        distance=inner,
    )


def _totals(ends: Ints) -> list[tuple[int, int, int]]:
    """Add up the last column of rows `(src, dst, nbytes)` over equal ends, in ascending order of ends."""
    totals: dict[tuple[int, int], int] = {}
    for src, dst, nbytes in ends.tolist():
        totals[src, dst] = totals.get((src, dst), 0) + nbytes
    return [(src, dst, nbytes) for (src, dst), nbytes in sorted(totals.items())]


def _placements(machine: Machine, block: Block) -> tuple[Placement, ...]:
    """Return every legal placement; a line of one core is not mirrored, as that would change nothing."""
    across = (False, True) if block.columns > 1 else (False,)
    down = (False, True) if block.rows > 1 else (False,)
    starts = legal_starts(machine, block)
    return tuple(Placement(x, y, mx, my) for x, y in starts for mx in across for my in down)


def _cells(machine: Machine, block: Block, placement: Placement) -> list[int]:
    """Return the cell of each virtual core."""
    rows = range(placement.row, placement.row + block.rows)
    columns = range(placement.column, placement.column + block.columns)
    return [
        row * len(machine.core_columns) + column
        for row in (reversed(rows) if placement.mirror_rows else rows)
        for column in (reversed(columns) if placement.mirror_columns else columns)
    ]


def _distances(machine: Machine, sources: list[Coord], targets: list[Coord]) -> Floats:
    """Return hops from each source to each target on the NoC that needs fewer."""
    return np.minimum(*(_hops(machine, noc, sources, targets) for noc in machine.nocs))


def _hops(machine: Machine, noc: Noc, sources: list[Coord], targets: list[Coord]) -> Floats:
    start, end = (np.array([(c.x, c.y) for c in ends], dtype=np.int64).reshape(-1, 2) for ends in (sources, targets))
    steps = end[None, :, :] - start[:, None, :]
    if noc.topology is Topology.MESH:
        per_axis = np.abs(steps)
    else:
        per_axis = steps * [noc.x_step, noc.y_step] % [machine.columns, machine.rows]
    return np.asarray(per_axis.sum(axis=2), dtype=np.float64)
