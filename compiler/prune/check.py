"""Judge a pruned workload and its certificates, with rules of its own and one tile at a time.

- The nests and iterations that are gone are exactly those that certificates speak of, each once.
- Every reason holds: what it says follows from its premises alone, with bounds worked out anew from constants,
  promises and the rules of `compiler.prune.scalar`; each premise is told truthfully.
- What is still computed needs nothing that is gone: an operand page is stored, or zero, or does not matter.
- The savings are those of the iterations.

Not judged: whether the sign of a zero can be told.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isinf, prod
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from compiler.diagnostics import InternalError
from compiler.numerics import TILE, DType, Expr, TileGrid
from compiler.numerics.layout import page_bytes
from compiler.partition.nest import (
    Access,
    ContractBody,
    GatherBody,
    MapBody,
    Nest,
    ReduceBody,
    Storage,
    TakeBody,
    Workload,
)
from compiler.program.image import DramPlace, Role, Tensor
from compiler.program.instructions import Combine, ReduceAxis
from compiler.program.pages import gathered_pages
from compiler.prune.certificates import Certificate, Origin, Premise, Reason, Rule
from compiler.prune.options import PruneOptions
from compiler.prune.scalar import Bound, anything, bounds, depends
from compiler.prune.solve import Pruned

Point = tuple[int, ...]
_limits: Any = ml_dtypes.finfo
ZERO = Bound(0.0, 0.0)


def check(before: Workload, options: PruneOptions, pruned: Pruned) -> None:
    """Raise InternalError, naming the nest and the rule, if `pruned` is not what is left of `before`."""
    _Checker(before, options, pruned).run()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InternalError(f"prune: {message}")


@dataclass
class _Checker:
    before: Workload
    options: PruneOptions
    pruned: Pruned
    known: list[list[Bound]] = field(default_factory=list)
    """Bounds of every page of every storage."""
    memo: dict[tuple[int, tuple[Bound, ...]], list[Bound]] = field(default_factory=dict)
    left: dict[str, Nest] = field(default_factory=dict)
    stored: dict[str, Storage] = field(default_factory=dict)
    certificates: dict[int, Certificate] = field(default_factory=dict)
    read: set[tuple[int, int]] = field(default_factory=set)

    def run(self) -> None:
        after = self.pruned.workload
        self.left = {nest.name: nest for nest in after.nests}
        self.stored = {storage.name: storage for storage in after.storages}
        self.certificates = {certificate.nest: certificate for certificate in self.pruned.certificates}
        _require(len(self.certificates) == len(self.pruned.certificates), "two certificates for one nest")
        self.sources()
        for nest in self.before.nests:
            self.known[nest.out] = self.results(nest, self.known)
        self.read = self.pages_read()
        for number, nest in enumerate(self.before.nests):
            self.certificate(nest, self.certificates.pop(number, None))
        _require(not self.certificates, "a certificate for a nest that there is not")

    # What is known.

    def sources(self) -> None:
        for storage in self.before.storages:
            pages = TileGrid(storage.shape).pages
            if storage.role is Role.CONSTANT:
                values = np.frombuffer(storage.data, storage.dtype.numpy).reshape(storage.shape).astype(np.float64)
                self.known.append(_of_tiles(values))
                continue
            each = [anything(storage.dtype)] * pages
            if storage.role in (Role.INPUT, Role.WEIGHT) and storage.name in self.options.zeros:
                flags = self.options.zeros[storage.name].array.reshape(-1)
                each = [ZERO if flag else bound for flag, bound in zip(flags, each, strict=True)]
            self.known.append(each)

    def bound(self, storage: int, page: int, known: Sequence[Sequence[Bound] | None]) -> Bound:
        """What is known of a page, a promise included."""
        found, pages = self.before.storages[storage], known[storage]
        if pages is None:
            return anything(found.dtype)
        bound, kept = pages[page], self.stored.get(found.name)
        if kept is None or not kept.promised or not found.dtype.is_float:
            return bound
        largest = float(_limits(found.dtype.numpy).max)
        return Bound(max(bound.low, -largest), min(bound.high, largest))

    def results(self, nest: Nest, known: Sequence[Sequence[Bound] | None]) -> list[Bound]:
        if isinstance(nest.body, TakeBody):
            rows = range(TileGrid(self.before.storages[nest.operands[1].storage].shape).pages)
            found = ZERO
            for place in rows:
                found = _hull(found, self.bound(nest.operands[1].storage, place, known))
            return [found] * prod(nest.out_dims)
        if isinstance(nest.body, GatherBody):
            return self.gathered(nest, nest.body, known)
        return [self.result(nest, at, known) for at in np.ndindex(nest.out_dims)]

    def gathered(self, nest: Nest, body: GatherBody, known: Sequence[Sequence[Bound] | None]) -> list[Bound]:
        found = [ZERO] * prod(nest.out_dims)
        for result, source in zip(*self.relation(nest, body), strict=True):
            bound = self.bound(nest.operands[0].storage, source, known)
            found[result] = _hull(found[result], bound)
        return found

    def relation(self, nest: Nest, body: GatherBody) -> tuple[list[int], list[int]]:
        storage = self.before.storages[nest.operands[0].storage]
        tensor = Tensor(storage.name, storage.dtype, storage.shape, storage.role, DramPlace(0))
        results, sources = gathered_pages(body.index_map, tensor)
        return results.tolist(), sources.tolist()

    def operands(
        self, nest: Nest, numbers: Iterable[int], point: Point, known: Sequence[Sequence[Bound] | None]
    ) -> list[Bound]:
        return [self.bound(nest.operands[k].storage, page(nest.operands[k], point), known) for k in numbers]

    def evaluated(self, expr: Expr, operands: Sequence[Bound]) -> list[Bound]:
        key = id(expr), tuple(operands)
        if key not in self.memo:
            self.memo[key] = bounds(expr, operands)
        return self.memo[key]

    def result(self, nest: Nest, at: Point, known: Sequence[Sequence[Bound] | None]) -> Bound:
        if isinstance(nest.body, MapBody):
            return self.evaluated(nest.body.expr, self.operands(nest, range(len(nest.operands)), at, known))[-1]
        return self.evaluated(epilogue(nest), self.finish(nest, at, known))[-1]

    def finish(self, nest: Nest, at: Point, known: Sequence[Sequence[Bound] | None]) -> list[Bound]:
        """The operands of the epilogue."""
        terms = [self.term(nest, (*at, *inner), known) for inner in np.ndindex(nest.reduced)]
        extra = range(nest.looped_operands, len(nest.operands))
        first = (*at, *(0 for _ in nest.reduced))
        return [_combined(nest, terms), *self.operands(nest, extra, first, known)]

    def term(self, nest: Nest, point: Point, known: Sequence[Sequence[Bound] | None]) -> Bound:
        """What one iteration combines: the bounds of an element, of a contraction those of a sum of products."""
        operands = self.operands(nest, range(nest.looped_operands), point, known)
        if isinstance(nest.body, ReduceBody):
            return self.evaluated(nest.body.body, operands)[-1]
        assert isinstance(nest.body, ContractBody)
        return _products(nest.body, *operands)

    # Reasons.

    def certificate(self, nest: Nest, certificate: Certificate | None) -> None:
        removed = ~self.live(nest)
        _require(bool(removed.any()) == (certificate is not None), f"{nest.name}: a certificate too many or too few")
        if certificate is None:
            return
        _require((certificate.name, certificate.span) == (nest.name, nest.span), f"{nest.name}: another nest")
        told = np.zeros(nest.space, np.int64)
        for reason in certificate.reasons:
            _require(reason.iterations.dims == nest.space, f"{nest.name}: a set over another space")
            told += reason.iterations.array
            self.reason(nest, reason)
        _require(bool((told == removed).all()), f"{nest.name}: not the iterations that are gone, each once")
        self.chain(nest, certificate)
        self.savings(nest, certificate, removed)

    def live(self, nest: Nest) -> NDArray[np.bool_]:
        left = self.left.get(nest.name)
        if left is None:
            return np.zeros(nest.space, np.bool_)
        return np.ones(nest.space, np.bool_) if left.live is None else left.live.array

    def reason(self, nest: Nest, reason: Reason) -> None:
        _require(reason.iterations.count > 0, f"{nest.name}: a reason for nothing")
        _require(reason.rule is not Rule.UNUSED or not reason.premises, f"{nest.name}: premises that are not needed")
        for premise in reason.premises:
            self.premise(premise)
        listed = {premise.storage for premise in reason.premises}
        known = [pages if number in listed else None for number, pages in enumerate(self.known)]
        gathered = self.gathered(nest, nest.body, known) if isinstance(nest.body, GatherBody) else None
        for point in map(tuple, np.argwhere(reason.iterations.array).tolist()):
            place = int(np.ravel_multi_index(point[: len(nest.out_dims)], nest.out_dims))
            held = self.holds(nest, reason.rule, point, place, known, gathered)
            _require(held, f"{nest.name}: iteration {point} is left out, but not because {reason.rule.value}")

    def holds(
        self,
        nest: Nest,
        rule: Rule,
        point: Point,
        place: int,
        known: Sequence[Sequence[Bound] | None],
        gathered: Sequence[Bound] | None,
    ) -> bool:
        at = point[: len(nest.out_dims)]
        stored = self.is_stored(nest.out, place)
        match rule:
            case Rule.ZERO:
                if isinstance(nest.body, TakeBody):
                    gathered = self.results(nest, known)
                found = gathered[place] if gathered is not None else self.result(nest, at, known)
                return not stored and found.is_zero
            case Rule.UNUSED:
                output = self.before.storages[nest.out].role is Role.OUTPUT
                return not stored and not output and (nest.out, place) not in self.read
            case Rule.FINISHED:
                return stored and not self.sum_matters(nest, at, known) and not self.is_neutral(nest, point, self.known)
            case Rule.NEUTRAL:
                return stored and self.is_neutral(nest, point, known)

    def is_stored(self, storage: int, place: int) -> bool:
        """Whether a page of a tensor is computed or fed."""
        found = self.before.storages[storage]
        kept = self.stored.get(found.name)
        if kept is None or (found.producer >= 0 and kept.producer < 0):
            return False
        return kept.live is None or bool(kept.live.array.reshape(-1)[place])

    def is_neutral(self, nest: Nest, point: Point, known: Sequence[Sequence[Bound] | None]) -> bool:
        if isinstance(nest.body, ReduceBody):
            value = _neutral(nest.body)
            return self.term(nest, point, known) == (value, value, False)
        return isinstance(nest.body, ContractBody) and self.term(nest, point, known).is_zero

    def sum_matters(self, nest: Nest, at: Point, known: Sequence[Sequence[Bound] | None]) -> bool:
        expr, operands = epilogue(nest), self.finish(nest, at, known)
        value = _neutral(nest.body) if isinstance(nest.body, ReduceBody) else 0.0
        after = self.evaluated(expr, [Bound(value, value), *operands[1:]])
        return depends(expr, self.evaluated(expr, operands), after, frozenset({0}))

    def premise(self, premise: Premise) -> None:
        storage = self.before.storages[premise.storage]
        kept = self.stored.get(storage.name)
        if kept is not None and kept.promised:
            origin = Origin.FINITE
        elif storage.producer >= 0:
            origin = Origin.COMPUTED
        else:
            origin = Origin.VALUE if storage.role is Role.CONSTANT else Origin.ZEROS
        span = self.before.nests[storage.producer].span if storage.producer >= 0 else None
        truth = Premise(premise.storage, storage.name, origin, span)
        _require(premise == truth, f"{premise.name}: not what is known of it, nor why")

    def chain(self, nest: Nest, certificate: Certificate) -> None:
        """Every link is told truthfully and follows from one before; what was computed from something known is
        followed."""
        premises = [premise for reason in certificate.reasons for premise in reason.premises]
        reached = {premise.storage for premise in premises}
        for premise in certificate.chain:
            self.premise(premise)
        for premise in (*premises, *certificate.chain):
            producer = self.before.storages[premise.storage].producer
            if producer >= 0:
                reached |= {access.storage for access in self.before.nests[producer].operands}
        for premise in certificate.chain:
            _require(premise.storage in reached, f"{nest.name}: {premise.name} is no premise of a premise")

    def savings(self, nest: Nest, certificate: Certificate, removed: NDArray[np.bool_]) -> None:
        count = int(removed.sum())
        storages = self.before.storages
        looped = nest.operands[: nest.looped_operands]
        moved = count * sum(page_bytes(storages[access.storage].dtype) for access in looped)
        gone = sum(not self.is_stored(nest.out, place) for place in range(prod(nest.out_dims)))
        stored = gone * page_bytes(storages[nest.out].dtype)
        saved = certificate.saved
        told = saved.iterations, saved.moved_bytes, saved.stored_bytes
        _require(told == (count, moved, stored), f"{nest.name}: other savings")

    # What is still computed.

    def pages_read(self) -> set[tuple[int, int]]:
        """Pages that live iterations depend on. Raises if one of them is gone and not zero."""
        found: set[tuple[int, int]] = set()
        for nest in self.before.nests:
            if nest.name in self.left:
                found |= set(self.used(nest))
        for storage, place in sorted(found):
            alive = self.is_stored(storage, place) or self.known[storage][place].is_zero
            _require(alive, f"{self.before.storages[storage].name}: page {place} is used, but is gone")
        return found

    def used(self, nest: Nest) -> Iterator[tuple[int, int]]:
        live = self.live(nest)
        if isinstance(nest.body, TakeBody):
            for access in nest.operands if live.any() else ():
                pages = range(TileGrid(self.before.storages[access.storage].shape).pages)
                yield from ((access.storage, place) for place in pages)
            return
        if isinstance(nest.body, GatherBody):
            flags = live.reshape(-1)
            for result, source in zip(*self.relation(nest, nest.body), strict=True):
                if flags[result]:
                    yield nest.operands[0].storage, source
            return
        for point in map(tuple, np.argwhere(live).tolist()):
            yield from self.used_by(nest, point)
        if nest.reduced:
            for at in np.ndindex(nest.out_dims):
                if self.is_stored(nest.out, int(np.ravel_multi_index(at, nest.out_dims))):
                    extra = range(nest.looped_operands, len(nest.operands))
                    operands = self.finish(nest, at, self.known)
                    yield from self.mattering(nest, epilogue(nest), extra, (*at, *(0 for _ in nest.reduced)), operands)

    def used_by(self, nest: Nest, point: Point) -> Iterator[tuple[int, int]]:
        looped = range(nest.looped_operands)
        if isinstance(nest.body, ContractBody):
            yield from ((nest.operands[k].storage, page(nest.operands[k], point)) for k in looped)
        else:
            assert isinstance(nest.body, MapBody | ReduceBody)
            expr = nest.body.expr if isinstance(nest.body, MapBody) else nest.body.body
            yield from self.mattering(nest, expr, looped, point, self.operands(nest, looped, point, self.known))

    def mattering(
        self, nest: Nest, expr: Expr, numbers: range, point: Point, operands: list[Bound]
    ) -> Iterator[tuple[int, int]]:
        """The pages among operands `numbers` that the result depends on if all that is gone reads as zero."""
        shift = len(operands) - len(numbers)
        places = [(nest.operands[k].storage, page(nest.operands[k], point)) for k in numbers]
        gone = [k for k, (storage, at) in enumerate(places, shift) if not self.is_stored(storage, at)]
        replaced = [ZERO if k in gone else bound for k, bound in enumerate(operands)]
        before, after = self.evaluated(expr, operands), self.evaluated(expr, replaced)
        idle = frozenset(gone)
        if not depends(expr, before, after, idle):
            yield from (place for k, place in enumerate(places, shift) if k not in idle)
        else:
            yield from places


def page(access: Access, point: Point) -> int:
    """The page that an iteration uses."""
    return access.offset + sum(stride * t for stride, t in zip(access.strides, point, strict=False))


def epilogue(nest: Nest) -> Expr:
    assert isinstance(nest.body, ReduceBody | ContractBody)
    return nest.body.epilogue


def _hull(a: Bound, b: Bound) -> Bound:
    return Bound(min(a.low, b.low), max(a.high, b.high), a.nan or b.nan)


def _of_tiles(values: NDArray[np.float64]) -> list[Bound]:
    """The least and the greatest element of every tile."""
    grid = TileGrid(values.shape)
    matrices = values.reshape(grid.matrix_shape)
    found = []
    for *lead, row, column in np.ndindex(grid.dims):
        part = matrices[(*lead, slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE))]
        numbers = part[~np.isnan(part)]
        bound = Bound(float(numbers.min()), float(numbers.max())) if numbers.size else Bound(-np.inf, np.inf)
        found.append(bound._replace(nan=numbers.size < part.size))
    return found


_MOST = {ReduceAxis.ROWS: TILE, ReduceAxis.COLUMNS: TILE, ReduceAxis.BOTH: TILE * TILE, ReduceAxis.NONE: 1}


def _neutral(body: ReduceBody) -> float:
    if body.combine is Combine.SUM:
        return 0.0
    if body.combine is Combine.PROD:
        return 1.0
    limits = anything(DType.F32 if body.body.dtype.is_float else DType.I32)
    return limits.low if body.combine is Combine.MAX else limits.high


def _combined(nest: Nest, terms: Sequence[Bound]) -> Bound:
    """What iterations with these bounds amount to."""
    body = nest.body
    nan = any(term.nan for term in terms)
    if isinstance(body, ContractBody):
        return _sum(terms, 1, len(terms) * TILE * 4, floats=body.dtype.is_float)
    assert isinstance(body, ReduceBody)
    lows, highs = [term.low for term in terms], [term.high for term in terms]
    match body.combine:
        case Combine.SUM:
            most = _MOST[body.axis]
            return _sum(terms, most, len(terms) * most, floats=body.body.dtype.is_float)
        case Combine.MAX:
            return Bound(max(lows), max(highs), nan)
        case Combine.MIN:
            return Bound(min(lows), min(highs), nan)
        case Combine.PROD:
            if all(term == (1.0, 1.0, False) for term in terms):
                return Bound(1.0, 1.0)
            small = not nan and min(lows) >= -1 and max(highs) <= 1
            return Bound(-1.0, 1.0) if small else anything(body.body.dtype)


def _sum(terms: Sequence[Bound], most: int, count: int, *, floats: bool) -> Bound:
    """A sum in any order, of 1 to `most` elements within each of `terms`; `count` roundings."""
    low = sum(term.low * (most if term.low < 0 else 1) for term in terms)
    high = sum(term.high * (most if term.high > 0 else 1) for term in terms)
    size = sum(max(abs(term.low), abs(term.high)) * most for term in terms)
    if not floats:
        return Bound(low, high) if size <= 2.0**31 - 1 else anything(DType.I32)
    nan = any(term.nan for term in terms)
    up, down = all(term.low >= 0 for term in terms), all(term.high <= 0 for term in terms)
    error = size * (count + 2) * 2.0**-23 + count * 2.0**-149 if size else 0.0
    if isinf(size) or size + error > float(np.finfo(np.float32).max):
        return Bound(0.0 if up else -np.inf, 0.0 if down else np.inf, nan or not (up or down))
    return Bound(max(low - error, 0.0) if up else low - error, min(high + error, 0.0) if down else high + error, nan)


def _products(body: ContractBody, a: Bound, b: Bound) -> Bound:
    """A sum of products of the elements of two tiles."""
    nothing = a.is_zero or b.is_zero if body.annihilates else False
    if nothing or (a.is_zero and b.is_finite) or (b.is_zero and a.is_finite):
        return ZERO
    largest = max(abs(a.low), abs(a.high)) * max(abs(b.low), abs(b.high)) * TILE * len(body.fidelity.passes)
    size = np.inf if np.isnan(largest) else largest
    return Bound(0.0 if a.low >= 0 and b.low >= 0 else -size, size, not (a.is_finite and b.is_finite))
