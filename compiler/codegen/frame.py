"""What the three thread emitters of a core share: its cbs, its blocks, and where its tiles lie."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from compiler.codegen.code import Counter, Step, Term, affine
from compiler.codegen.plan import Share, StagePlan
from compiler.numerics import TileGrid
from compiler.partition.footprint import keeps_result
from compiler.partition.nest import ContractBody, Nest, Workload
from compiler.partition.stages import Loop, box, has_partials, load_extents, loops, unit_pages
from compiler.program.image import CoreSet
from compiler.program.instructions import Affine
from compiler.target import Machine


@dataclass(frozen=True, slots=True)
class Names:
    """How the image numbers things: tensors in DRAM and in L1 by storage, index maps by nest, networks by stream of the
    epoch, core sets of the epoch."""

    dram: dict[int, int]
    shard: dict[int, int]
    index_map: dict[int, int]
    nocs: tuple[int, ...]
    core_sets: tuple[CoreSet, ...]


def result_cb(nest: Nest) -> int:
    """Return the number of the result's cb; it follows those of operands."""
    return nest.buffered_operands


class Frame(ABC):
    """One core's view of its stage, whatever its shape.

    Operand cbs are numbered from 0, `out_cb` and `partial_cb` follow. `block` holds the tile rows, the tile columns and
    the innermost reduced tiles that the compute thread handles together; `partials` says that the accumulators of a
    block lie in L1, `picks` that the read thread puts the result together, without the compute thread.
    """

    def __init__(
        self,
        machine: Machine,
        workload: Workload,
        names: Names,
        plan: StagePlan,
        core: int,
        block: tuple[int, int, int],
        partials: bool,
    ) -> None:
        self.machine = machine
        self.workload = workload
        self.names = names
        self.core_sets = names.core_sets
        self.plan = plan
        self.core = core
        self.stage = plan.stage
        self.nest: Nest = workload.nests[plan.stage.nest]
        self.block = block
        self.rank = len(self.nest.out_dims)
        self.picks = self.nest.buffered_operands < len(self.nest.operands)
        self.out_cb = result_cb(self.nest)
        self.partial_cb = self.out_cb + 1
        self.partials = partials
        self.keeps = keeps_result(machine, workload, self.stage)

    @abstractmethod
    def extents(self, number: int) -> tuple[int, ...]:
        """Tiles per axis of one block of operand `number`, whose pages lie row-major over them in the cb."""

    def local_strides(self, number: int) -> tuple[int, ...]:
        """Page step per axis inside the block of operand `number`; 0 where the operand does not depend on the axis."""
        strides, step = [], 1
        access = self.nest.operands[number]
        for extent, stride in reversed(tuple(zip(self.extents(number), access.strides, strict=True))):
            strides.append(step if stride else 0)
            step *= extent
        return tuple(reversed(strides))

    def tensor(self, number: int) -> int:
        """The tensor that operand `number` is read from."""
        tensors = self.names.shard if self.stage.operands[number].from_l1 else self.names.dram
        return tensors[self.nest.operands[number].storage]

    @property
    def guarded(self) -> bool:
        """Whether the gate of the nest can be looked at."""
        return self.nest.guard >= 0 and self.knows_flags(self.nest.guard)

    def knows_flags(self, number: int) -> bool:
        """Whether the pages of operand `number` arrive with flags."""
        return self.stage.operands[number].from_l1 or self.senses(number)

    def senses(self, number: int) -> bool:
        """Whether operand `number` comes from DRAM that keeps flags."""
        flagged = self.workload.storages[self.nest.operands[number].storage].flagged
        return flagged and not self.stage.operands[number].from_l1

    def flagged(self, number: int) -> bool:
        """Whether to leave out the products with zero tiles of a factor: where its pages carry flags, and the other
        factor may be known to be finite."""
        body = self.nest.body
        if not isinstance(body, ContractBody):
            return False
        other = self.nest.operands[1 - number].storage
        finite = self.workload.storages[other].finite or self.knows_flags(1 - number)
        return self.workload.dynamic and self.knows_flags(number) and (finite or body.annihilates)

    @property
    def looks_at_flags(self) -> bool:
        """Whether some product of the stage may be left out."""
        return self.guarded or self.nest.dead or self.flagged(0) or self.flagged(1)

    def leads(self, share: Share) -> bool:
        """Whether this core reads a shared operand for its group."""
        return self.plan.cores[self.core] in self.core_sets[share.leader_set[self.core]].cores


class BoxFrame(Frame):
    """One core's view of a stage that is computed whole: a box of the space, walked by loops.

    `counters` arguments hold the counters of the stage's first loops, outermost first.
    """

    def __init__(self, machine: Machine, workload: Workload, names: Names, plan: StagePlan, core: int) -> None:
        nest = workload.nests[plan.stage.nest]
        self.loops: tuple[Loop, ...] = loops(nest, plan.stage, core)
        self.box = box(nest, plan.stage, core)
        self.unit = unit_pages(nest, self.loops)
        *_, rows, columns = self.loops[: len(nest.out_dims)]
        block = (rows.step, columns.step, self.loops[-1].step)
        super().__init__(machine, workload, names, plan, core, block, has_partials(machine, nest, self.loops))

    @property
    def unit_level(self) -> int:
        """Loops around the handing over of one unit of the result."""
        return self.rank if self.unit == self.loops[self.rank - 1].step else self.rank - 1

    @property
    def unit_width(self) -> int:
        """Tile columns of a unit."""
        columns = self.loops[self.rank - 1]
        return columns.step if self.unit_level == self.rank else columns.step * columns.count

    def extents(self, number: int) -> tuple[int, ...]:
        """Tiles per axis that one load of operand `number` spans."""
        return load_extents(self.nest.operands[number], self.stage.operands[number].level, self.loops)

    def page(self, number: int, counters: Sequence[Counter], inner: Sequence[Step]) -> Affine:
        """Page of operand `number` in its tensor; `inner` are the loops inside the block."""
        access = self.nest.operands[number]
        base = access.offset + sum(s * low for s, (low, _) in zip(access.strides, self.box, strict=True))
        level = self.stage.operands[number].level
        terms = [
            (access.strides[loop.axis] * loop.step, counter)
            for loop, counter in zip(self.loops[:level], counters, strict=False)
        ]
        return affine(base, terms + [(access.strides[axis] * tiles, counter) for axis, tiles, counter in inner])

    def used_at(
        self, number: int, counters: Sequence[Counter], constants: dict[int, int], inner: Sequence[Step]
    ) -> Affine:
        """Page of operand `number` in its cb, from the read pointer, for the iteration that `counters` (of the loops
        inside its level), `constants` (tiles by axis) and the loops `inner` point to."""
        strides = self.local_strides(number)
        terms = self.block_terms(number, counters) + [
            (strides[axis] * tiles, counter) for axis, tiles, counter in inner
        ]
        return affine(sum(strides[axis] * tiles for axis, tiles in constants.items()), terms)

    def block_terms(self, number: int, counters: Sequence[Counter]) -> list[Term]:
        """Where the loops inside the level of operand `number` stand in its block, in pages."""
        strides = self.local_strides(number)
        level = self.stage.operands[number].level
        inside = list(zip(self.loops, counters, strict=False))[level:]
        return [(strides[loop.axis] * loop.step, counter) for loop, counter in inside]

    def out_page(self, counters: Sequence[Counter], inner: Sequence[Step]) -> Affine:
        """Page of the result in its tensor."""
        strides = TileGrid(self.nest.shape).strides
        base = sum(stride * low for stride, (low, _) in zip(strides, self.box, strict=False))
        terms = [
            (strides[loop.axis] * loop.step, counter)
            for loop, counter in zip(self.loops[: self.unit_level], counters, strict=False)
        ]
        return affine(base, terms + [(strides[axis] * tiles, counter) for axis, tiles, counter in inner])

    def picked_page(self, number: int, counters: Sequence[Counter], inner: Sequence[Step]) -> Affine:
        """Page of operand `number` in its tensor from which the rows of a page of the result are counted."""
        access = self.nest.operands[number]
        base = access.offset + sum(s * low for s, (low, _) in zip(access.strides, self.box, strict=True))
        terms = [
            (access.strides[loop.axis] * loop.step, counter)
            for loop, counter in zip(self.loops, counters, strict=False)
        ]
        return affine(base, terms + [(access.strides[axis] * tiles, counter) for axis, tiles, counter in inner])

    def tile_coordinate(
        self, axis: int, counters: Sequence[Counter], constants: dict[int, int], inner: Sequence[Step]
    ) -> Affine:
        """Tile coordinate along `axis` of the iteration at hand."""
        loop = self.loops[axis]
        terms = [(loop.step, counters[axis])] if axis < len(counters) else []
        terms += [(tiles, counter) for where, tiles, counter in inner if where == axis]
        return affine(self.box[axis][0] + constants.get(axis, 0), terms)

    def out_offset(self, row: int, column: int, counters: Sequence[Counter], inner: Sequence[Step]) -> Affine:
        """Page of a tile of the block inside the unit, which may span several blocks of the same rows."""
        loop = self.loops[self.rank - 1]
        width = self.unit // self.block[0]
        terms = [(loop.step, counters[self.rank - 1])] if self.unit_level < self.rank else []
        terms += [(tiles * (width if axis == self.rank - 2 else 1), counter) for axis, tiles, counter in inner]
        return affine(row * width + column, terms)
