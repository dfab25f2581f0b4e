"""Programs that pass pages from epoch to epoch through a temporary in DRAM, which keeps their flags."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.numerics import DType
from compiler.program import instructions as ins
from compiler.program.image import CircularBuffer, Role
from compiler.program.instructions import ZERO, Affine, CbTile
from emulator import RunResult, run
from tests.unit.emulator.flagging import BASE, MACHINE, Array, kernels, tile
from tests.unit.emulator.handmade import Handmade, Program, seq

NEAR, FAR = 1, 14
KINDS = {
    "live": tile(3.0),
    "zero": tile(0.0),
    "negative": tile(-0.0, (4, 4)),
    "infinite": tile(np.inf, (3, 3)),
    "dead": tile(7.0),
}
"""Pages as they are computed; a dead one is not."""
BARE = ("zero", "dead")
"""What a word stands for."""


def values(kinds: Sequence[str]) -> Array:
    return np.concatenate([tile(0.0) if kind in ("", "dead") else KINDS[kind] for kind in kinds], axis=1)


def ring(number: int, capacity: int) -> CircularBuffer:
    return CircularBuffer(BASE + number * 65536, capacity, DType.F32)


def copied(source: int, target: int) -> tuple[ins.Instruction, ...]:
    """A page goes from cb to cb, by way of the packer; a dead one stays dead."""
    start = (ins.Wait(source, 1), ins.Reserve(target, 1), ins.Map(0, 0, (CbTile(source, ZERO),), (), True))
    return seq(*start, ins.Pack(0, target, ZERO, False, None), ins.Push(target, 1), ins.Pop(source, 1))


@dataclass
class Relay(Handmade):
    """`x` is computed to temporary `t`, number 1, in one epoch, and copied to `y`, number 2, in a later one."""

    flagged: bool = True

    def start(self, pages: int) -> None:
        self.kernels = kernels(DType.F32)
        for name, role in (("x", Role.INPUT), ("t", Role.TEMPORARY), ("y", Role.OUTPUT)):
            self.dram(name, DType.F32, (32, 32 * pages), role)
        self.tensors[1] = replace(self.tensors[1], flagged=self.flagged)

    def compute(self, kinds: Sequence[str], core: int = NEAR) -> None:
        """The epoch that writes `t`; of `x`, only the pages that are written matter ("": none)."""
        read: list[ins.Instruction] = []
        write: list[ins.Instruction] = []
        for number, kind in enumerate(kinds):
            if kind:
                fetch = ins.Read(0, ZERO, 0, Affine(number), 0, 0 if kind == "dead" else -1)
                read += seq(ins.Reserve(0, 1), fetch, ins.Barrier(), ins.Push(0, 1))
                write += seq(ins.Wait(1, 1), ins.Write(1, ZERO, 1, Affine(number), 1), ins.Barrier(), ins.Pop(1, 1))
        loop, count = copied(0, 1), sum(1 for kind in kinds if kind)
        compute = seq(ins.Loop(count), *loop, ins.End())
        self.epoch([Program(core, [ring(0, 2), ring(1, 2)], read, write, compute)])

    def copy(self, read: Sequence[ins.Instruction], pages: int, capacity: int = 2, core: int = FAR) -> None:
        """The epoch in which `read` brings the pages of `t` to cb 0; they are written to `y`."""
        store = (ins.Wait(0, 1), ins.Probe(0, 0, ZERO), ins.Write(0, ZERO, 2, Affine(0, (1,)), 1), ins.Barrier())
        write = seq(ins.Loop(pages), *store, ins.Pop(0, 1), ins.End())
        self.epoch([Program(core, [ring(0, capacity)], read, write)])


def sensed(first: int, count: int = 1) -> tuple[ins.Instruction, ...]:
    """`count` pages of `t`, sensed together, then read."""
    ask = [ins.Sense(0, Affine(k), 1, Affine(first + k), 0) for k in range(count)]
    get = [ins.Read(0, Affine(k), 1, Affine(first + k), 0) for k in range(count)]
    return seq(ins.Reserve(0, count), *ask, ins.Barrier(), *get, ins.Barrier(), ins.Push(0, count))


def plain(first: int, count: int = 1) -> tuple[ins.Instruction, ...]:
    return tuple(at for at in sensed(first, count) if not isinstance(at, ins.Sense))


def relayed(
    kinds: Sequence[str], read: Sequence[ins.Instruction], flagged: bool = True, capacity: int = 2
) -> RunResult:
    relay = Relay(MACHINE, flagged=flagged)
    relay.start(len(kinds))
    relay.compute(kinds)
    relay.copy(read, len(kinds), capacity)
    return run(relay.image(), {"x": values(kinds)})


def one_by_one(kinds: Sequence[str]) -> tuple[ins.Instruction, ...]:
    return tuple(at for number in range(len(kinds)) for at in sensed(number))
