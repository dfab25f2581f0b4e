"""Programs of one core whose inputs are packed first, so that their pages are flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import DType, Expr, ScalarNode, ScalarOp, TileGrid
from compiler.numerics.expr import identity
from compiler.program import instructions as ins
from compiler.program.image import CircularBuffer, Image, Kernel, Operand, Role
from compiler.program.instructions import ZERO, Affine, CbTile
from compiler.target import Machine, load_machine
from emulator import RunResult, run
from emulator.profile import PipeProfile
from tests.unit.emulator.handmade import Handmade, Program, seq

Array = NDArray[Any]
MACHINE = load_machine("mesh_4x4")
BASE = MACHINE.l1_base
CORE = 5
I0 = Affine(0, (1,))
COPY, MULTIPLY, RECIPROCAL = 1, 2, 3
"""Kernels of every program: 0 copies a page of the inputs' type, the others work on f32."""


def checked_machine(flag_check: int) -> Machine:
    """The small machine, where a look at a flag takes this long."""
    return replace(MACHINE, core=replace(MACHINE.core, flag_check=flag_check))


def kernels(dtype: DType) -> list[Kernel]:
    x, y = (ScalarNode(ScalarOp.ARG, DType.F32, (), k) for k in range(2))
    one = ScalarNode(ScalarOp.CONST, DType.F32, (), 1.0)
    product = Expr((x, y, ScalarNode(ScalarOp.MUL, DType.F32, (0, 1))))
    inverse = Expr((x, one, ScalarNode(ScalarOp.DIV, DType.F32, (1, 0))))
    f32 = Operand(DType.F32)
    return [
        Kernel(identity(dtype), (Operand(dtype),)),
        Kernel(identity(DType.F32), (f32,)),
        Kernel(product, (f32, f32)),
        Kernel(inverse, (f32,)),
    ]


def pages_of(array: Array) -> int:
    return TileGrid(array.shape).pages


def tile(value: float, at: tuple[int, int] | None = None, rest: float = 0.0) -> Array:
    """A tile of one value, or of `rest` but for one element."""
    if at is None:
        return np.full((32, 32), value, np.float32)
    result = np.full((32, 32), rest, np.float32)
    result[at] = value
    return result


def page(k: int, number: int = 0) -> CbTile:
    """Page `number` of input `k`, flagged."""
    return CbTile(2 * k + 1, Affine(number))


@dataclass
class Staged:
    """Inputs of one type, as cbs `2 k + 1` whose pages are flagged, then `compute`, then output `y` from cb `2 n`.

    Inputs in `dead` are read under a guard that is 0.
    """

    inputs: Mapping[str, Array]
    compute: Sequence[ins.Instruction]
    dtype: DType = DType.F32
    shape: tuple[int, int] = (32, 32)
    out: DType = DType.F32
    dead: frozenset[str] = frozenset()
    finite: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    machine: Machine = MACHINE
    more: list[Kernel] = field(default_factory=list)

    def image(self) -> Image:
        h = Handmade(self.machine, kernels=[*kernels(self.dtype), *self.more])
        read: list[ins.Instruction] = []
        before: list[ins.Instruction] = []
        buffers = []
        for k, (name, array) in enumerate(self.inputs.items()):
            tensor, count, dead = h.dram(name, self.dtype, array.shape, Role.INPUT), pages_of(array), name in self.dead
            target = 2 * k + int(dead)
            move = ins.Read(target, ZERO, tensor, I0, 0, 0 if dead else -1)
            read += seq(ins.Loop(count), ins.Reserve(target, 1), move, ins.Barrier(), ins.Push(target, 1), ins.End())
            buffers += [self._ring(2 * k, count, ""), self._ring(2 * k + 1, count, name)]
            before += [] if dead else _packed(2 * k, count)
            before.append(ins.Wait(2 * k + 1, count))
        last = len(buffers)
        buffers.append(CircularBuffer(BASE + last * 32768, TileGrid(self.shape).pages, self.out))
        y, count = h.dram("y", self.out, self.shape, Role.OUTPUT), buffers[last].capacity
        store = seq(ins.Wait(last, 1), ins.Write(last, ZERO, y, I0, 1), ins.Barrier(), ins.Pop(last, 1))
        compute = [*before, ins.Reserve(last, count), *self.compute, ins.Push(last, count)]
        h.epoch([Program(CORE, buffers, read, (ins.Loop(count), *store, ins.End()), compute)])
        return h.image()

    def _ring(self, number: int, capacity: int, name: str) -> CircularBuffer:
        finite, checked = name in self.finite, name in self.checked
        return CircularBuffer(BASE + number * 32768, capacity, self.dtype, name=name, finite=finite, checked=checked)

    def run(self) -> RunResult:
        return run(self.image(), self.inputs)


def _packed(source: int, pages: int) -> tuple[ins.Instruction, ...]:
    body = (ins.Wait(source, 1), ins.Reserve(source + 1, 1), ins.Map(0, 0, (CbTile(source, ZERO),)))
    return seq(
        ins.Loop(pages), *body, ins.Pack(0, source + 1, ZERO, False, None), ins.Push(source + 1, 1), ins.Pop(source, 1),
        ins.End(),
    )  # fmt: skip


def pipes(result: RunResult) -> PipeProfile:
    (found,) = result.profile.epochs[0].pipes
    return found


def same(a: Array, b: Array) -> bool:
    """Equal bit for bit, but for the sign of zeros."""
    return bool(np.array_equal(a.astype(np.float64), b.astype(np.float64), equal_nan=True))
