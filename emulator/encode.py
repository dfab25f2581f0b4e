"""From one epoch of an image to the tables of the engine: instructions.

Instruction rows name cbs relative to their core and affine values by row, so that the engine touches nothing but
integers. Costs come from `compiler.target.costs`, the table that the compiler's estimates use as well.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import numpy as np

from compiler.numerics import DType
from compiler.numerics.fidelity import LEFT_LOW_BITS, RIGHT_LOW_BITS, Part
from compiler.program import image as im
from compiler.program import instructions as ins
from compiler.target.costs import ComputeCost, fill_cost, map_cost, matmul_cost, pack_cost, reduce_cost
from compiler.target.machine import Machine
from emulator.engine import columns as c
from emulator.engine.state import Table
from emulator.kernels.requests import MapKernel, MatmulKernel, PackKernel, ReduceKernel, Request, UnpackKernel

THREADS = (ins.Thread.READ, ins.Thread.WRITE, ins.Thread.COMPUTE)
"""In the order of thread numbers."""

Row: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class Code:
    """Encoded instructions of an epoch; `origins[i]` and `place[i]` say where row `i` comes from."""

    rows: list[Row] = field(default_factory=list)
    affines: list[Row] = field(default_factory=list)
    operands: list[Row] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    instructions: list[ins.Instruction | None] = field(default_factory=list)
    starts: dict[int, int] = field(default_factory=dict)
    """Thread number to its first row."""
    kernels: dict[Request, int] = field(default_factory=dict)
    """Native code that the instructions call, by its row in the table of addresses."""
    affine_rows: dict[ins.Affine, int] = field(default_factory=dict)

    def affine(self, value: ins.Affine) -> int:
        """Row of an affine value."""
        row = self.affine_rows.get(value)
        if row is None:
            row = self.affine_rows[value] = len(self.affines)
            terms = value.coefficients
            padding = (0,) * (ins.MAX_LOOP_DEPTH - len(terms))
            self.affines.append((len(terms), value.constant, *terms, *padding))
        return row

    def kernel(self, request: Request) -> int:
        """Row of a kernel's address."""
        return self.kernels.setdefault(request, len(self.kernels))


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes the instructions of one core."""

    machine: Machine
    image: im.Image
    buffers: tuple[im.CircularBuffer, ...]
    index_maps: Mapping[int, int]
    """Index map number to its row in `lists`."""
    code: Code

    def encode(self, instruction: ins.Instruction) -> Row:
        """One row, without its padding."""
        return _ENCODERS[type(instruction)](self, instruction)

    def on_buffer(self, instruction: ins.Reserve | ins.Push | ins.Wait | ins.Pop) -> Row:
        return (_BUFFER_OPS[type(instruction)], 0, 0, 0, instruction.cb, instruction.pages)

    def transfer(self, instruction: ins.Read | ins.Write) -> Row:
        op = c.OP_READ if isinstance(instruction, ins.Read) else c.OP_WRITE
        offset, page = self.code.affine(instruction.offset), self.code.affine(instruction.page)
        return (op, 0, 0, 0, instruction.cb, offset, instruction.tensor, page, instruction.noc)

    def gather(self, i: ins.Gather) -> Row:
        offset, page = self.code.affine(i.offset), self.code.affine(i.page)
        return (c.OP_GATHER, 0, 0, 0, i.cb, offset, i.tensor, page, i.noc, self.index_maps[i.index_map])

    def multicast(self, i: ins.Multicast) -> Row:
        return (c.OP_MULTICAST, 0, 0, 0, i.cb, self.code.affine(i.offset), i.pages, i.targets, i.noc)

    def barrier(self, _: ins.Barrier) -> Row:
        return (c.OP_BARRIER, 0, 0, 0)

    def sem_inc(self, i: ins.SemInc) -> Row:
        return (c.OP_SEM_INC, 0, 0, 0, self.code.affine(i.semaphore), i.targets, i.amount, i.noc)

    def sem_wait(self, i: ins.SemWait) -> Row:
        return (c.OP_SEM_WAIT, 0, 0, 0, self.code.affine(i.semaphore), i.amount)

    def await_page(self, i: ins.Await) -> Row:
        return (c.OP_AWAIT, 0, 0, 0, i.tensor, self.code.affine(i.page))

    def loop(self, i: ins.Loop) -> Row:
        return (c.OP_LOOP, 0, 0, 0, i.count)

    def end(self, _: ins.End) -> Row:
        return (c.OP_END, 0, 0, 0)

    def fill(self, i: ins.Fill) -> Row:
        return (c.OP_FILL, *_costs(fill_cost(self.machine)), i.dst, bit_pattern(i.value, i.dtype))

    def matmul(self, i: ins.Matmul) -> Row:
        phases = i.part_a.phases * i.part_b.phases
        cost = matmul_cost(self.machine, i.dtype, i.rows, i.columns, i.inner, phases)
        a_offset, b_offset = self.code.affine(i.a_offset), self.code.affine(i.b_offset)
        left = (i.a, a_offset, i.a_row, i.a_inner)
        right = (i.b, b_offset, i.b_inner, i.b_column)
        product = self.code.kernel(MatmulKernel(i.dtype, i.annihilates))
        unpack = (
            self._unpack(UnpackKernel(i.dtype, i.transpose_a, i.part_a, LEFT_LOW_BITS)),
            self._unpack(UnpackKernel(i.dtype, i.transpose_b, i.part_b, RIGHT_LOW_BITS)),
        )
        extents = (i.rows, i.columns, i.inner, int(i.clear))
        return (c.OP_MATMUL, *_costs(cost), i.dst, *left, *right, *extents, product, *unpack)

    def _unpack(self, request: UnpackKernel) -> int:
        """The kernel that makes a page ready for a product, -1 if it can be used as it lies in L1."""
        if request.dtype is not DType.BF16 and not request.transpose:
            return -1
        if request.part is Part.WHOLE:
            request = replace(request, low_bits=0)
        return self.code.kernel(request)

    def map(self, i: ins.Map) -> Row:
        kernel = self.image.kernels[i.kernel]
        used = kernel.operands
        from_cb = tuple(self.buffers[o.cb].dtype for o in i.operands if isinstance(o, ins.CbTile))
        registers = tuple(isinstance(o, ins.DstTile) for o in i.operands)
        request = self.code.kernel(MapKernel(kernel, registers))
        first = len(self.code.operands)
        self.code.operands.extend(self._operand(operand) for operand in i.operands)
        apart = any(
            isinstance(o, ins.DstTile) and o.index == i.dst and used[k].spread is not im.Spread.NONE
            for k, o in enumerate(i.operands)
        )
        cost = map_cost(self.machine, kernel.expr, from_cb)
        return (c.OP_MAP, *_costs(cost), request, i.dst, first, len(i.operands), int(apart))

    def _operand(self, operand: ins.CbTile | ins.DstTile) -> Row:
        if isinstance(operand, ins.DstTile):
            return (-1 - operand.index, 0)
        return (operand.cb, self.code.affine(operand.offset))

    def reduce(self, i: ins.Reduce) -> Row:
        kernel = self.code.kernel(ReduceKernel(i.combine, i.axis, i.dtype))
        return (c.OP_REDUCE, *_costs(reduce_cost(self.machine)), kernel, i.dst, i.source, *self._mask(i.mask))

    def pack(self, i: ins.Pack) -> Row:
        dtype = self.buffers[i.cb].dtype
        kernel = self.code.kernel(PackKernel(dtype, i.accumulate))
        cost = pack_cost(self.machine, dtype, i.accumulate)
        mask = self._mask(i.mask) if i.mask else (-1, 0, -1, 0)
        return (c.OP_PACK, *_costs(cost), kernel, i.dst, i.cb, self.code.affine(i.offset), *mask, int(i.accumulate))

    def _mask(self, mask: ins.Mask) -> Row:
        return (mask.rows, self.code.affine(mask.row_tile), mask.columns, self.code.affine(mask.column_tile))


_BUFFER_OPS: Mapping[type, int] = {
    ins.Reserve: c.OP_RESERVE,
    ins.Push: c.OP_PUSH,
    ins.Wait: c.OP_WAIT,
    ins.Pop: c.OP_POP,
}

_ENCODERS: Mapping[type, Callable[[Encoder, Any], Row]] = {
    ins.Reserve: Encoder.on_buffer,
    ins.Push: Encoder.on_buffer,
    ins.Wait: Encoder.on_buffer,
    ins.Pop: Encoder.on_buffer,
    ins.Read: Encoder.transfer,
    ins.Write: Encoder.transfer,
    ins.Gather: Encoder.gather,
    ins.Multicast: Encoder.multicast,
    ins.Barrier: Encoder.barrier,
    ins.SemInc: Encoder.sem_inc,
    ins.SemWait: Encoder.sem_wait,
    ins.Await: Encoder.await_page,
    ins.Fill: Encoder.fill,
    ins.Matmul: Encoder.matmul,
    ins.Map: Encoder.map,
    ins.Reduce: Encoder.reduce,
    ins.Pack: Encoder.pack,
    ins.Loop: Encoder.loop,
    ins.End: Encoder.end,
}


def _costs(cost: ComputeCost) -> Row:
    return (cost.unpack, cost.math, cost.pack)


def bit_pattern(value: float | int, dtype: DType) -> int:
    """The 32 bits of a register element, as a signed integer."""
    if dtype is DType.F32:
        return cast(int, struct.unpack("<i", struct.pack("<f", value))[0])
    return int(value)


def encode_programs(image: im.Image, epoch: im.Epoch, index_maps: Mapping[int, int]) -> Code:
    """Encode the programs of an epoch; a thread's rows end with `OP_DONE`."""
    code = Code()
    for program in epoch.programs:
        encoder = Encoder(image.machine, image, program.buffers, index_maps, code)
        for number, thread in enumerate((program.read, program.write, program.compute)):
            code.starts[3 * program.core + number] = len(code.rows)
            code.rows.extend(encoder.encode(instruction) for instruction in thread.instructions)
            code.rows.append((c.OP_DONE,))
            code.origins.extend((*thread.origins, -1))
            code.instructions.extend((*thread.instructions, None))
    return code


def table(rows: list[Row], columns: int) -> Table:
    """Rows padded with zeros to `columns`; never empty, so that native code can take its address."""
    if rows and all(len(row) == columns for row in rows):
        return np.array(rows, np.int64)
    padded = np.zeros((max(1, len(rows)), columns), np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
