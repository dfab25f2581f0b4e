"""The compute thread of a core that computes a box.

All bodies share one walk over the stage's loops: wait for the operands that become available at a level, reserve room
for a unit of the result at its level, and at the innermost levels begin, continue and finish one block of the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from compiler.codegen.bodies import Bodies, KernelTable
from compiler.codegen.code import CodeBuilder, Counter, Step
from compiler.codegen.frame import BoxFrame
from compiler.program.image import Code
from compiler.program.instructions import Affine, Pop, Push, Reserve, Wait


def compute_code(frame: BoxFrame, kernels: KernelTable, origin: int, finish_origin: int) -> Code:
    """Return the compute thread; what is picked needs none. What turns accumulators into results has the origin
    `finish_origin`."""
    if frame.picks:
        return Code()
    code = CodeBuilder(origin)
    _walk(frame, code, Bodies(frame, kernels, code, finish_origin), 0, [])
    return code.build()


@dataclass(frozen=True, slots=True)
class _Position:
    """The iteration that the counters of the stage's first loops point to."""

    frame: BoxFrame
    counters: Sequence[Counter]

    def operand(self, number: int, here: dict[int, int], inner: Sequence[Step]) -> Affine:
        return self.frame.used_at(number, self.counters, here, inner)

    def tile(self, axis: int, extent: int, here: dict[int, int], inner: Sequence[Step]) -> Affine:
        return self.frame.tile_coordinate(axis, self.counters, here, inner)

    def result(self, row: int, column: int, inner: Sequence[Step]) -> Affine:
        return self.frame.out_offset(row, column, self.counters, inner)


def _walk(frame: BoxFrame, code: CodeBuilder, bodies: Bodies, level: int, counters: Sequence[Counter]) -> None:
    """Emit the loops from `level` on."""
    if level == frame.unit_level:
        code.emit(Reserve(frame.out_cb, frame.unit))
    held = [
        (number, prod(frame.extents(number))) for number, plan in enumerate(frame.stage.operands) if plan.level == level
    ]
    code.emit(*(Wait(number, pages) for number, pages in held))
    if level == frame.rank:
        bodies.begin()
    if level == len(frame.loops):
        bodies.step(_Position(frame, counters))
    else:
        with code.loop(frame.loops[level].count) as counter:
            _walk(frame, code, bodies, level + 1, [*counters, counter])
    if level == frame.rank:
        bodies.finish(_Position(frame, counters))
    code.emit(*(Pop(number, pages) for number, pages in held))
    if level == frame.unit_level:
        code.emit(Push(frame.out_cb, frame.unit))
