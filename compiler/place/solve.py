"""Place core grids by simulated annealing with a heat bath.

The classical move proposes one placement and accepts or rejects it (Kirkpatrick, Gelatt and Vecchi, "Optimization by
Simulated Annealing", 1983). Here the cost of *every* placement of a block, the others held still, comes from one
matrix product, so a move lifts a block and draws its new placement from the Boltzmann distribution over all legal
ones (Geman and Geman, "Stochastic Relaxation, Gibbs Distributions", 1984): translation and mirroring in one step and
no rejections. To get past full grids, some moves lift two blocks and put them back one after the other, which
includes exchanging them; the pair is kept by the Metropolis rule.

Costs are integers below 2**53 held in float64, so that sums are exact in any order.
"""

from dataclasses import dataclass

import numpy as np

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.place.pack import grid_name, legal_starts, pack
from compiler.place.problem import Block, PlaceProblem, PlaceSolution
from compiler.place.tables import BlockTable, Floats, Ints, anchor_cost, build_tables
from compiler.target import Machine

# Temperatures as fractions of the spread of placement costs, and the share of moves that lift two blocks: the best of
# a grid of values on twelve pipelines of 4 to 40 blocks; see docs/decisions/place.md.
FIRST_TEMPERATURE = 0.5
LAST_TEMPERATURE = 0.05
PAIR_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class PlaceOptions:
    """`moves` blocks (or pairs of blocks) are lifted and put back; the seed decides which and where."""

    seed: int = 0
    moves: int = 600


def fits(machine: Machine, blocks: tuple[Block, ...]) -> bool:
    """Say whether `solve` will find disjoint rectangles of live cores for `blocks` (false may be overcautious)."""
    return pack(machine, blocks) is not None


def solve(problem: PlaceProblem, options: PlaceOptions | None = None) -> PlaceSolution:
    """Place every block, aiming at the least bytes x hops.

    Raises `DiagnosticError` E0410 when the blocks do not fit together. A single block is placed optimally.
    """
    start = pack(problem.machine, problem.blocks)
    if start is None:
        raise DiagnosticError((_does_not_fit(problem),))
    tables = build_tables(problem)
    annealer = _Annealer(tables, [table.index_of(*corner) for table, corner in zip(tables, start, strict=True)])
    annealer.run(options or PlaceOptions())
    placements = tuple(table.placements[chosen] for table, chosen in zip(tables, annealer.chosen, strict=True))
    return PlaceSolution(placements, int(annealer.total()) + anchor_cost(problem))


def _does_not_fit(problem: PlaceProblem) -> Diagnostic:
    machine, blocks = problem.machine, problem.blocks
    wanted = sum(block.rows * block.columns for block in blocks)
    grid = f"{len(machine.core_rows)} x {len(machine.core_columns)}"
    alone = [block for block in blocks if not legal_starts(machine, block)]
    if alone:
        message = f"core grid {grid_name(alone[0])} does not fit in the {grid} cores of `{machine.name}`"
    else:
        names = ", ".join(grid_name(block) for block in blocks)
        message = f"core grids {names} do not fit together in the {grid} cores of `{machine.name}`"
    note = f"they need {wanted} cores in whole rectangles; `{machine.name}` has {len(machine.cores)} live cores"
    return Diagnostic("E0410", message, notes=(note,), helps=("use smaller core grids, or fewer stages at one time",))


class _Annealer:
    """The current placement of every block (`chosen[b]`, an index into `tables[b].placements`), or -1 when lifted."""

    def __init__(self, tables: tuple[BlockTable, ...], start: list[int]) -> None:
        self.tables = tables
        self.chosen = start
        cells = tables[0].cells if tables else 0
        self.taken = np.zeros(cells, dtype=np.int64)
        # Where each virtual core of each block stands; a lifted block's cores stand on the pseudo-cell `cells`, which
        # is at distance zero from everything.
        self.sites: list[Ints] = [np.full(table.cores, cells, dtype=np.int64) for table in tables]
        for block, placement in enumerate(start):
            self._put(block, placement)

    def run(self, options: PlaceOptions) -> None:
        """Descend to a local optimum, anneal within the budget of moves, descend from the best placement seen."""
        self._descend()
        if len(self.tables) > 1 and any(len(table.placements) > 1 for table in self.tables):
            self._anneal(options)
            self._descend()

    def total(self) -> float:
        """Return the cost of the current placement."""
        total = 0.0
        for block, table in enumerate(self.tables):
            placement = self.chosen[block]
            total += table.static[placement] + self._pulls(block)[placement] / 2
        return total

    def _anneal(self, options: PlaceOptions) -> None:
        rng = np.random.default_rng(options.seed)
        spread = self._spread()
        if spread == 0:
            return
        cost = best_cost = self.total()
        best = list(self.chosen)
        count = len(self.tables)
        firsts = rng.integers(count, size=options.moves).tolist()
        seconds = rng.integers(1, count, size=options.moves).tolist()
        pairs = (rng.random(options.moves) < PAIR_SHARE).tolist()
        cooling = np.geomspace(FIRST_TEMPERATURE * spread, LAST_TEMPERATURE * spread, options.moves).tolist()
        for first, shift, pair, temperature in zip(firsts, seconds, pairs, cooling, strict=True):
            if pair:
                cost += self._move_pair(rng, temperature, first, (first + shift) % count)
            else:
                cost += self._move_one(rng, temperature, first)
            if cost < best_cost:
                best_cost, best = cost, list(self.chosen)
        self._restore(best)

    def _spread(self) -> float:
        """Return the typical standard deviation of a block's cost over its placements."""
        return float(np.mean([self._costs(block).std() for block in range(len(self.tables))]))

    def _move_one(self, rng: np.random.Generator, temperature: float, block: int) -> float:
        """Lift `block` and put it back; return the change of cost."""
        costs = self._costs(block)
        before = self.chosen[block]
        self._lift(block)
        after = self._draw(rng, block, costs, temperature)
        self._put(block, after)
        return float(costs[after] - costs[before])

    def _move_pair(self, rng: np.random.Generator, temperature: float, first: int, second: int) -> float:
        """Lift two blocks and put them back; return the change of cost, zero if it was taken back."""
        before = list(self.chosen)
        removed = self._costs(first)[before[first]]
        self._lift(first)
        removed += self._costs(second)[before[second]]
        self._lift(second)
        added = 0.0
        for block in (first, second):
            costs = self._costs(block)
            placement = self._draw(rng, block, costs, temperature)
            if placement < 0:
                self._restore(before)
                return 0.0
            self._put(block, placement)
            added += float(costs[placement])
        change = float(added - removed)
        if change > 0 and rng.random() >= np.exp(-change / temperature):
            self._restore(before)
            return 0.0
        return change

    def _draw(self, rng: np.random.Generator, block: int, costs: Floats, temperature: float) -> int:
        """Draw a free placement with probability proportional to exp(-cost / temperature); -1 if none is free.

        The smallest of `cost / temperature - Gumbel noise` has just that distribution.
        """
        free = np.flatnonzero(self.tables[block].free(self.taken))
        if len(free) == 0:
            return -1
        return int(free[np.argmin(costs[free] / temperature - rng.gumbel(size=len(free)))])

    def _descend(self) -> None:
        """Move single blocks to their best placement while that helps; ties stay where they are."""
        improved = True
        while improved:
            improved = max([self._improve(block) for block in range(len(self.tables))], default=False)

    def _improve(self, block: int) -> bool:
        costs = self._costs(block)
        before = self.chosen[block]
        self._lift(block)
        open_costs = np.where(self.tables[block].free(self.taken), costs, np.inf)
        best = int(np.argmin(open_costs))
        after = best if open_costs[best] < costs[before] else before
        self._put(block, after)
        return after != before

    def _costs(self, block: int) -> Floats:
        """Return the cost of each placement of `block` while the blocks that are not lifted stay."""
        return self.tables[block].static + self._pulls(block)

    def _pulls(self, block: int) -> Floats:
        """Return the part of `_costs` that is due to other blocks."""
        table = self.tables[block]
        if len(table.peers) == 0:
            return np.zeros(len(table.placements))
        return table.pull(np.concatenate([self.sites[peer] for peer in table.peers]))

    def _put(self, block: int, placement: int) -> None:
        self.chosen[block] = placement
        self.sites[block] = self.tables[block].sites[placement]
        self.taken[self.sites[block]] += 1

    def _lift(self, block: int) -> None:
        self.taken[self.sites[block]] -= 1
        self.chosen[block] = -1
        self.sites[block] = np.full(self.tables[block].cores, self.tables[block].cells, dtype=np.int64)

    def _restore(self, placements: list[int]) -> None:
        for block in range(len(self.tables)):
            if self.chosen[block] >= 0:
                self._lift(block)
        for block, placement in enumerate(placements):
            self._put(block, placement)
