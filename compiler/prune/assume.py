"""Facts that hold if some tensors are finite, and which tensors these are.

A tensor may be assumed to be finite if the source says so, or if the user lets us assume it, unless a tile of it is
known not to be. An assumption is made only where it tells more: that tiles are zero or constant, that iterations
change nothing, what sign numbers have. What is relied upon is computed, all of it, so that it can be checked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.numerics import TileGrid
from compiler.partition.nest import Nest, Workload
from compiler.prune.facts import Facts, Flags, regrid
from compiler.prune.forward import NestFacts, nest_facts

Level = tuple[Facts, frozenset[int]]
"""What may be taken for known of a storage, and the storages that have to be finite for it."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of storages without any assumption (`proven`) and with those that help (`best`), and of nests."""

    proven: tuple[Facts, ...]
    best: tuple[Facts, ...]
    nests: tuple[NestFacts, ...]


class Assumer:
    """Walks over the nests in order."""

    def __init__(self, workload: Workload, sources: Sequence[Facts], may_assume: Callable[[int], bool]) -> None:
        self.workload = workload
        self.may_assume = may_assume
        self.proven = list(sources)
        self.best: list[Level] = [(facts, frozenset()) for facts in sources]

    def run(self) -> Analysis:
        """Derive the facts of all nests."""
        found = [self.visit(nest) for nest in self.workload.nests]
        return Analysis(tuple(self.proven), tuple(facts for facts, _ in self.best), tuple(found))

    def visit(self, nest: Nest) -> NestFacts:
        plain = nest_facts(self.workload, nest, self.proven)
        target = TileGrid(self.workload.storages[nest.out].shape).dims
        self.proven[nest.out] = plain.out.each(lambda part: regrid(part, nest.out_dims, target))
        facts = self.chosen(nest, plain)
        self.best[nest.out] = facts.out.each(lambda part: regrid(part, nest.out_dims, target)), facts.relies
        return facts

    def chosen(self, nest: Nest, plain: NestFacts) -> NestFacts:
        """Facts of a nest under the fewest assumptions on its operands that tell all they can."""
        storages = sorted({access.storage for access in nest.operands})
        levels = {storage: self.levels(storage) for storage in storages}
        if all(len(choices) == 1 for choices in levels.values()):
            return plain
        picked = {storage: choices[-1] for storage, choices in levels.items()}
        top = self.with_operands(nest, picked)
        finite = not self.may_assume(nest.out)
        if same(top, plain, finite=finite):
            return plain
        for storage in storages:
            for choice in levels[storage][:-1]:
                if same(self.with_operands(nest, picked | {storage: choice}), top, finite=finite):
                    picked[storage] = choice
                    break
        return self.with_operands(nest, picked)

    def levels(self, storage: int) -> list[Level]:
        """What may be taken for known of `storage`, from the fewest assumptions to the most."""
        proven, best = (self.proven[storage], frozenset[int]()), self.best[storage]
        known = [proven] if best[1] == frozenset() else [proven, best]
        if not self.may_assume(storage) or best[0].never_finite.any():
            return known
        dtype = self.workload.storages[storage].dtype
        return [
            variant
            for facts, relies in known
            for variant in ((facts, relies), (facts.finite_part(dtype), relies | {storage}))
            if variant[1] == relies or not facts.finite.all()
        ]

    def with_operands(self, nest: Nest, picked: dict[int, Level]) -> NestFacts:
        known = list(self.proven)
        for storage, (facts, _) in picked.items():
            known[storage] = facts
        relies = frozenset[int]().union(*(relies for _, relies in picked.values()))
        return replace(nest_facts(self.workload, nest, known), relies=relies)


def same(a: NestFacts, b: NestFacts, *, finite: bool) -> bool:
    """Whether two findings agree in what pruning may use: with `finite` also in where the result is finite, which need
    not be known of a result that can be assumed to be."""
    told = zip(_told(a), _told(b), strict=True)
    return all(_equal(x, y) for x, y in told) and (not finite or _equal(a.out.finite, b.out.finite))


def _told(facts: NestFacts) -> tuple[Flags, ...]:
    out = facts.out
    constant = np.asarray((out.low == out.high) & ~out.nan)
    return facts.skip, constant, np.where(constant, out.low, 0.0), np.sign(out.low), np.sign(out.high)


def _equal(a: Flags, b: Flags) -> bool:
    return bool((a == b).all())
