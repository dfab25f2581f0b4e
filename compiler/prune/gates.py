"""Regions that a gate can switch off at run time.

In `where(g != 0, g * f(x), 0)` nothing of `f(x)` matters where `g` is zero. If a whole page of `g` is, the page of
`f(x)` that it meets is never looked at, so it need not be computed: the nest that makes it is *guarded* by the page of
`g`, and what is computed for this nest alone is guarded as well. Such nests answer dead pages with dead pages (see
`compiler.program.instructions`), and the nest at the exit reads a dead page as zero.

What is decided here holds for every value of the gate and of `x`, NaN and infinities included: an operand counts as
idle only if the expression provably does not depend on it. Counts of pages do not change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from compiler.numerics import TileGrid
from compiler.numerics.dependence import needed
from compiler.numerics.expr import identity
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
from compiler.program.image import Role
from compiler.prune.streams import read_in_parts


def idle(nest: Nest, gate: int) -> frozenset[int]:
    """Return the operands of `nest` whose pages do not matter in iterations in which the page of operand `gate` is
    zero."""
    zeros = frozenset({gate})
    everything = frozenset(range(len(nest.operands))) - zeros
    match nest.body:
        case MapBody(expr=expr):
            return everything - needed(expr, zeros)
        case ReduceBody() as body if gate < body.body_operands:
            return frozenset(range(body.body_operands)) - zeros - needed(body.body, zeros)
        case ReduceBody(epilogue=epilogue) | ContractBody(epilogue=epilogue) if gate >= nest.looped_operands:
            first = nest.looped_operands - 1
            used = needed(epilogue, frozenset({gate - first}))
            return frozenset() if 0 in used else everything - {number + first for number in used}
        case _:
            return frozenset()


@dataclass(frozen=True, slots=True)
class _Guard:
    """The page of a gate that guards a page: `offset + sum(strides[d] * t[d])` for page coordinates `t`."""

    offset: int
    strides: tuple[int, ...]


COPY_SHARE = 4
"""A gate that has no flags as it is, is copied if it has at most one page in so many of what it guards."""


def guard(workload: Workload) -> Workload:
    """Return `workload` with every nest guarded that only serves results which a gate may switch off.

    Only regions with a contraction are guarded: elsewhere the flags would cost more than they save. Nests may change
    places, since a gate must be known before what it guards.
    """
    return _Guarding(workload).run()


class _Guarding:
    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.nests = list(workload.nests)
        self.users: dict[int, list[tuple[int, int]]] = {}
        for index, nest in enumerate(workload.nests):
            for number, access in enumerate(nest.operands):
                self.users.setdefault(access.storage, []).append((index, number))
        self.storages = list(workload.storages)
        self.copies: dict[int, int] = {}
        """Of gates that have no flags as they are, by storage."""
        self.parts = read_in_parts(workload)
        self.moved = False
        """Whether the nests need another order."""

    def run(self) -> Workload:
        for index, nest in enumerate(self.workload.nests):
            for gate in range(len(nest.operands)):
                if self.nests[index].guard < 0:
                    self.exit(index, gate)
        whole = replace(self.workload, storages=tuple(self.flagged()), nests=tuple(self.nests))
        return _ordered(whole) if self.moved else whole

    def flagged(self) -> Iterator[Storage]:
        """The storages; gates and what may be dead keep their flags."""
        kept = {nest.operands[nest.guard].storage for nest in self.nests if nest.guard >= 0}
        kept |= {nest.out for nest in self.nests if nest.dead}
        for number, storage in enumerate(self.storages):
            mine = storage.producer >= 0 and storage.role is Role.TEMPORARY
            yield replace(storage, flagged=mine and number in kept)

    def exit(self, index: int, gate: int) -> None:
        """Guard what nest `index` does not need where its operand `gate` is zero."""
        nest = self.nests[index]
        unneeded = idle(nest, gate)
        region: dict[int, _Guard | None] = {}
        for number in sorted(unneeded):
            region.update(self.served(index, number, nest.operands[gate]))
        own = isinstance(nest.body, ContractBody) and {0, 1} <= unneeded
        if not (region or own) or not self.packed(index, gate):
            return
        storage = self.nests[index].operands[gate].storage
        for member, guarded in region.items():
            self.close(member, storage, guarded)
        if own:
            self.nests[index] = replace(self.nests[index], guard=gate)

    def packed(self, index: int, gate: int) -> bool:
        """Make sure that the operand `gate` of nest `index` is written by a packer, which flags its pages, and read in
        whole pages: what is fed, gathered or picked from is copied first. False if that is too much to copy."""
        nest = self.nests[index]
        number = nest.operands[gate].storage
        fed = self.storages[number]
        made = fed.producer >= 0 and not isinstance(self.nests[fed.producer].body, GatherBody | TakeBody)
        if made and number not in self.parts:
            return True
        grid = TileGrid(fed.shape)
        if grid.pages * COPY_SHARE > prod(nest.out_dims):
            return False
        if number not in self.copies:
            self.copies[number] = len(self.storages)
            name, body = f"gate_{fed.name}", MapBody(identity(fed.dtype))
            source = (Access(number, grid.strides),)
            copy = Nest(name, nest.span, nest.span, len(self.storages), fed.shape, (), source, body)
            self.storages.append(Storage(name, fed.dtype, fed.shape, Role.TEMPORARY, len(self.nests)))
            self.nests.append(copy)
        access = replace(nest.operands[gate], storage=self.copies[number])
        operands = (*nest.operands[:gate], access, *nest.operands[gate + 1 :])
        self.nests[index] = replace(nest, operands=operands)
        self.moved = True
        return True

    def served(self, index: int, number: int, gate: Access) -> Mapping[int, _Guard | None]:
        """The nests that serve operand `number` of nest `index` alone, with their guards; none if the gate cannot guard
        them or that is not worth it."""
        producer = self.only_for(index, number)
        if producer < 0 or producer in self.ancestors(self.storages[gate.storage].producer):
            return {}
        mapped = self.mapped(index, number, gate)
        region = self.region(producer, mapped) if mapped is not None else {}
        return region if any(isinstance(self.nests[member].body, ContractBody) for member in region) else {}

    def only_for(self, index: int, number: int) -> int:
        """The nest that makes operand `number` of nest `index`, if nobody else wants its result; else -1."""
        storage = self.nests[index].operands[number].storage
        alone = self.storages[storage].role is Role.TEMPORARY and len(self.users[storage]) == 1
        producer = self.storages[storage].producer
        return producer if alone and producer >= 0 and not self.nests[producer].dead else -1

    def mapped(self, index: int, number: int, gate: Access) -> _Guard | None:
        """The gate as a function of the pages of operand `number`, where every use of a page meets the same gate."""
        nest, access = self.nests[index], self.nests[index].operands[number]
        shape = self.storages[access.storage].shape
        producer = self.storages[access.storage].producer
        grid = TileGrid(self.nests[producer].shape)
        if TileGrid(shape).dims != grid.dims or access.offset:
            return None
        axis_of = {
            stride: axis for axis, (stride, dim) in enumerate(zip(grid.strides, grid.dims, strict=True)) if dim > 1
        }
        strides = [0] * len(grid.dims)
        for extent, own, step in zip(nest.space, access.strides, gate.strides, strict=True):
            if step and extent > 1:
                if own not in axis_of:
                    return None
                strides[axis_of[own]] = step
        return _Guard(gate.offset, tuple(strides))

    def region(self, producer: int, own: _Guard) -> Mapping[int, _Guard | None]:
        """The nests that serve the guarded result of `producer` alone, with their guards.

        What dead pages reach needs none, but a contraction has one all the same: its partial sums in L1 do not die.
        """
        nest = self.nests[producer]
        if not isinstance(nest.body, ContractBody | MapBody | ReduceBody):
            return {}
        gate = Access(-1, (*own.strides, *(0,) * len(nest.reduced)), offset=own.offset)
        found: dict[int, _Guard | None] = {}
        reached = False
        for number in range(len(nest.operands)):
            feeder = self.only_for(producer, number)
            mapped = self.mapped(producer, number, gate) if feeder >= 0 else None
            inner = self.region(feeder, mapped) if mapped is not None else {}
            found.update(inner)
            reached = reached or (bool(inner) and number < nest.looped_operands)
        found[producer] = None if reached and not isinstance(nest.body, ContractBody) else own
        return found

    def close(self, member: int, gate: int, own: _Guard | None) -> None:
        """Make `member` answer dead pages with dead pages; if it has an `own` guard, storage `gate` becomes its last
        operand."""
        nest = self.nests[member]
        if own is None:
            self.nests[member] = replace(nest, dead=True)
            return
        access = Access(gate, (*own.strides, *(0,) * len(nest.reduced)), offset=own.offset)
        self.nests[member] = replace(nest, operands=(*nest.operands, access), guard=len(nest.operands), dead=True)
        self.moved = True

    def ancestors(self, nest: int) -> frozenset[int]:
        """The nests that `nest` depends on, itself included."""
        found: set[int] = set()
        pending = [nest] if nest >= 0 else []
        while pending:
            index = pending.pop()
            if index not in found:
                found.add(index)
                pending.extend(producer for producer in self.inputs(index) if producer >= 0)
        return frozenset(found)

    def inputs(self, index: int) -> Iterator[int]:
        for access in self.nests[index].operands:
            yield self.storages[access.storage].producer


def _ordered(workload: Workload) -> Workload:
    """The nests in an order in which every gate comes before what it guards, otherwise as they were."""
    where: dict[int, int] = {}
    pending = list(reversed(range(len(workload.nests))))
    while pending:
        inputs = (workload.storages[access.storage].producer for access in workload.nests[pending[-1]].operands)
        missing = [producer for producer in inputs if producer >= 0 and producer not in where]
        if missing:
            pending.append(min(missing))
        else:
            where.setdefault(pending.pop(), len(where))
    storages = tuple(replace(storage, producer=where.get(storage.producer, -1)) for storage in workload.storages)
    return replace(workload, storages=storages, nests=tuple(workload.nests[old] for old in where))
