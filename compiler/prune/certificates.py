"""Why each iteration that is left out may be left out.

Iterations of a nest are left out for the first of these reasons that holds: their tile of the result is zero; nobody
uses it; the iteration changes nothing; the result does not depend on what is combined. All but the second follow from
what is known of some operands (`Premise`), which follows from what is known of theirs (`Certificate.chain`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod

import numpy as np

from compiler.diagnostics import Span
from compiler.numerics.layout import page_bytes
from compiler.numerics.masks import TileMask
from compiler.partition.nest import GatherBody, Nest, Storage, Workload
from compiler.program.image import Role
from compiler.prune.assume import Analysis
from compiler.prune.demand import Demand, NestDemand, operand_needs, replaceable
from compiler.prune.facts import Facts, Flags, mask_of
from compiler.prune.forward import NestFacts, nest_facts


class Rule(Enum):
    """Why an iteration is left out; the value is how it is told."""

    ZERO = "the result is zero"
    UNUSED = "nobody uses the result"
    NEUTRAL = "it changes nothing"
    FINISHED = "the result does not depend on it"


class Origin(Enum):
    """Where what is known of a tensor comes from; the value is how it is told."""

    VALUE = "constant"
    ZEROS = "tiles known to be zero"
    FINITE = "promised to be finite"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class Premise:
    """What is known of a storage of the workload before pruning is used; `span` is where it was computed."""

    storage: int
    name: str
    origin: Origin
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Iterations (over the nest's space) left out by one rule; `premises` is all that it takes."""

    rule: Rule
    iterations: TileMask
    premises: tuple[Premise, ...]


@dataclass(frozen=True, slots=True)
class Savings:
    """`iterations` left out; bytes of operand tiles that they would have used (an estimate of what is not moved, each
    use counted once) and of pages of the result that are not stored."""

    iterations: int
    moved_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """All that is left out of one nest, by its number in the workload before pruning. `chain` holds the premises of the
    premises, nearest first, back to constants, promises and inputs."""

    nest: int
    name: str
    span: Span | None
    reasons: tuple[Reason, ...]
    chain: tuple[Premise, ...]
    saved: Savings


class Certifier:
    """Writes down why, for what the analysis has decided."""

    def __init__(
        self,
        workload: Workload,
        analysis: Analysis,
        needed: Demand,
        signs: Sequence[bool],
        promised: frozenset[int],
    ) -> None:
        self.workload, self.analysis, self.needed, self.signs = workload, analysis, needed, signs
        self.promised = promised

    def run(self) -> tuple[Certificate, ...]:
        """One certificate per nest of which something is left out, in order."""
        nests = enumerate(zip(self.workload.nests, self.analysis.nests, self.needed.nests, strict=True))
        return tuple(self.certificate(n, *parts) for n, parts in nests if not parts[2].whole)

    def certificate(self, number: int, nest: Nest, facts: NestFacts, needed: NestDemand) -> Certificate:
        reasons = tuple(self.reasons(nest, facts, needed))
        chain = self.chain([premise.storage for reason in reasons for premise in reason.premises])
        return Certificate(number, nest.name, nest.span, reasons, chain, self.savings(nest, needed))

    def reasons(self, nest: Nest, facts: NestFacts, needed: NestDemand) -> Iterator[Reason]:
        dead = ~needed.pages
        zero = _over(nest, dead & replaceable(facts.out, self.signs[nest.out]))
        gone = _over(nest, dead)
        groups = (
            (Rule.ZERO, zero),
            (Rule.UNUSED, gone & ~zero),
            (Rule.NEUTRAL, facts.skip & ~gone),
            (Rule.FINISHED, ~needed.iterations & ~gone & ~facts.skip),
        )
        for rule, iterations in groups:
            if iterations.any():
                yield Reason(rule, mask_of(iterations, nest.space), self.premises(nest, facts, rule, iterations))

    def premises(self, nest: Nest, facts: NestFacts, rule: Rule, iterations: Flags) -> tuple[Premise, ...]:
        """The operands without which the rule would not hold."""
        if rule is Rule.UNUSED:
            return ()
        storages = sorted({access.storage for access in nest.operands})
        known = list(self.analysis.best)
        for storage in storages:
            if storage in self.promised:
                known[storage] = known[storage].finite_part(self.workload.storages[storage].dtype)
        for storage in storages:
            trial = list(known)
            trial[storage] = Facts.unknown(self.workload.storages[storage].dtype, known[storage].low.ndim)
            if self.still(nest, trial, rule, iterations):
                known = trial
        return tuple(self.premise(s) for s in storages if not self.is_unknown(s, known[s]))

    def is_unknown(self, storage: int, facts: Facts) -> bool:
        unknown = Facts.unknown(self.workload.storages[storage].dtype, facts.low.ndim)
        pairs = ((facts.low, unknown.low), (facts.high, unknown.high), (facts.nan, unknown.nan))
        return all(bool((a == b).all()) for a, b in pairs)

    def still(self, nest: Nest, known: Sequence[Facts], rule: Rule, iterations: Flags) -> bool:
        """Whether the rule holds if no more than this is known."""
        facts = nest_facts(self.workload, nest, known)
        sign = self.signs[nest.out]
        match rule:
            case Rule.ZERO:
                held = _over(nest, replaceable(facts.out, sign))
            case Rule.NEUTRAL:
                held = facts.skip
            case _:
                whole = np.ones((1,) * len(nest.out_dims), np.bool_)
                held = _over(nest, ~operand_needs(self.workload, nest, facts, whole, sign).combined)
        return bool((held | ~iterations).all())

    def premise(self, storage: int) -> Premise:
        found = self.workload.storages[storage]
        span = self.workload.nests[found.producer].span if found.producer >= 0 else None
        return Premise(storage, found.name, self.origin(storage, found), span)

    def origin(self, number: int, storage: Storage) -> Origin:
        if number in self.promised:
            return Origin.FINITE
        if storage.producer >= 0:
            return Origin.COMPUTED
        return Origin.VALUE if storage.role is Role.CONSTANT else Origin.ZEROS

    def chain(self, storages: Sequence[int]) -> tuple[Premise, ...]:
        """What the bounds of these storages follow from, nearest first."""
        seen = set(storages)
        pending, found = list(storages), []
        while pending:
            producer = self.workload.storages[pending.pop(0)].producer
            accesses = self.workload.nests[producer].operands if producer >= 0 else ()
            for access in accesses:
                if access.storage not in seen and not self.is_unknown(
                    access.storage, self.analysis.best[access.storage]
                ):
                    seen.add(access.storage)
                    pending.append(access.storage)
                    found.append(self.premise(access.storage))
        return tuple(found)

    def savings(self, nest: Nest, needed: NestDemand) -> Savings:
        count = prod(nest.space) - int(np.broadcast_to(needed.iterations, nest.space).sum())
        looped = range(len(nest.operands)) if isinstance(nest.body, GatherBody) else range(nest.looped_operands)
        each = sum(page_bytes(self.workload.storages[nest.operands[k].storage].dtype) for k in looped)
        pages = prod(nest.out_dims) - int(np.broadcast_to(needed.pages, nest.out_dims).sum())
        return Savings(count, count * each, pages * page_bytes(self.workload.storages[nest.out].dtype))


def _over(nest: Nest, pages: Flags) -> Flags:
    """Tiles of the result as iterations."""
    return pages.reshape(pages.shape + (1,) * len(nest.reduced))
