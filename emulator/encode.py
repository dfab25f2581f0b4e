"""From one epoch of an image to the tables of the engine: instructions.

Instruction rows name cbs relative to their core and affine values by row, so that the engine touches nothing but
integers. Costs come from `compiler.target.costs`, the table that the compiler's estimates use as well.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import numpy as np

from compiler.numerics import TILE, DType
from compiler.numerics.fidelity import LEFT_LOW_BITS, RIGHT_LOW_BITS, Part, phases
from compiler.program import image as im
from compiler.program import instructions as ins
from compiler.target.costs import (
    ComputeCost,
    fill_cost,
    flag_cost,
    flags_looked_at,
    map_cost,
    matmul_cost,
    pack_cost,
    product_cycles,
    reduce_cost,
)
from compiler.target.machine import Machine
from emulator.engine import columns as c
from emulator.engine.state import Table
from emulator.kernels.requests import (
    MapKernel,
    MatmulKernel,
    PackKernel,
    ReduceKernel,
    Request,
    ScanKernel,
    UnpackKernel,
)

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
    tables: list[Row] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    first_table: int = 0
    """Row of the first table of the thread that is being encoded."""

    def affine(self, value: ins.Affine) -> int:
        """Row of an affine value."""
        row = self.affine_rows.get(value)
        if row is None:
            row = self.affine_rows[value] = len(self.affines)
            terms = value.coefficients
            padding = (0,) * (ins.MAX_LOOP_DEPTH - len(terms))
            self.affines.append((len(terms), value.constant, _variable_column(value.variable), *terms, *padding))
        return row

    def add_tables(self, tables: tuple[tuple[int, ...], ...]) -> None:
        """Append the tables of the thread that is encoded next."""
        self.first_table = len(self.tables)
        for values in tables:
            self.tables.append((len(self.values), len(self.values) + len(values)))
            self.values += values

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
    flags: bool
    """Whether flags are kept."""

    def encode(self, instruction: ins.Instruction) -> Row:
        """One row, without its padding."""
        return _ENCODERS[type(instruction)](self, instruction)

    def on_buffer(self, instruction: ins.Reserve | ins.Push | ins.Wait | ins.Pop) -> Row:
        return (_BUFFER_OPS[type(instruction)], 0, 0, 0, instruction.cb, *_amount(instruction.pages))

    def transfer(self, instruction: ins.Read | ins.Write) -> Row:
        op = c.OP_READ if isinstance(instruction, ins.Read) else c.OP_WRITE
        offset, page = self.code.affine(instruction.offset), self.code.affine(instruction.page)
        guard = instruction.guard if isinstance(instruction, ins.Read) else -1
        return (op, 0, 0, 0, instruction.cb, offset, instruction.tensor, page, instruction.noc, guard)

    def sense(self, i: ins.Sense) -> Row:
        offset, page = self.code.affine(i.offset), self.code.affine(i.page)
        return (c.OP_SENSE, 0, 0, 0, i.cb, offset, i.tensor, page, i.noc)

    def probe(self, i: ins.Probe) -> Row:
        return (c.OP_PROBE, 0, 0, 0, i.variable, i.cb, self.code.affine(i.offset))

    def gather(self, i: ins.Gather) -> Row:
        offset, page = self.code.affine(i.offset), self.code.affine(i.page)
        return (c.OP_GATHER, 0, 0, 0, i.cb, offset, i.tensor, page, i.noc, self.index_maps[i.index_map])

    def take(self, i: ins.Take) -> Row:
        target = (i.cb, self.code.affine(i.offset), i.tensor, self.code.affine(i.page), i.noc)
        numbers = (i.indices, self.code.affine(i.where), 1 if i.across else TILE)
        return (c.OP_TAKE, 0, 0, 0, *target, i.step, i.extent, *numbers, i.rows, self.code.affine(i.row_tile))

    def multicast(self, i: ins.Multicast) -> Row:
        pages, variable = _amount(i.pages)
        return (c.OP_MULTICAST, 0, 0, 0, i.cb, self.code.affine(i.offset), pages, i.targets, i.noc, variable)

    def barrier(self, _: ins.Barrier) -> Row:
        return (c.OP_BARRIER, 0, 0, 0)

    def sem_inc(self, i: ins.SemInc) -> Row:
        return (c.OP_SEM_INC, 0, 0, 0, self.code.affine(i.semaphore), i.targets, i.amount, i.noc)

    def sem_wait(self, i: ins.SemWait) -> Row:
        return (c.OP_SEM_WAIT, 0, 0, 0, self.code.affine(i.semaphore), i.amount)

    def await_page(self, i: ins.Await) -> Row:
        return (c.OP_AWAIT, 0, 0, 0, i.tensor, self.code.affine(i.page))

    def loop(self, i: ins.Loop) -> Row:
        """One row without the number of the instruction behind the loop, which is known at its end."""
        return (c.OP_LOOP, 0, 0, 0, *_amount(i.count))

    def end(self, _: ins.End) -> Row:
        return (c.OP_END, 0, 0, 0)

    def fetch(self, i: ins.Fetch) -> Row:
        return (c.OP_FETCH, 0, 0, 0, i.variable, self.code.first_table + i.table)

    def fill(self, i: ins.Fill) -> Row:
        pattern = bit_pattern(i.value, i.dtype)
        return (c.OP_FILL, *_costs(fill_cost(self.machine)), i.dst, pattern, int(i.value == 0))

    def matmul(self, i: ins.Matmul) -> Row:
        types = left_type, right_type = self.buffers[i.a].dtype, self.buffers[i.b].dtype
        done = phases((i.part_a, i.part_b), *types)
        cost = matmul_cost(self.machine, *types, i.rows, i.columns, i.inner, done)
        a_offset, b_offset = self.code.affine(i.a_offset), self.code.affine(i.b_offset)
        left = (i.a, a_offset, i.a_row, i.a_inner)
        right = (i.b, b_offset, i.b_inner, i.b_column)
        product = self.code.kernel(MatmulKernel(i.dtype.wide, i.annihilates))
        unpack = (
            self._unpack(UnpackKernel(left_type, i.transpose_a, i.part_a, LEFT_LOW_BITS)),
            self._unpack(UnpackKernel(right_type, i.transpose_b, i.part_b, RIGHT_LOW_BITS)),
        )
        extents = (i.rows, i.columns, i.inner, int(i.clear))
        use = self._flag_use(i)
        cycles = product_cycles(self.machine, *types, done)
        return (c.OP_MATMUL, *_costs(cost), i.dst, *left, *right, *extents, product, *unpack, use, cycles, i.guard)

    def _flag_use(self, i: ins.Matmul) -> int:
        """How a product uses flags, as bits. Integers are finite; where zero annihilates, nothing else need be."""
        finite_a, finite_b = (
            i.annihilates or self.buffers[cb].finite or not self.buffers[cb].dtype.is_float for cb in (i.a, i.b)
        )
        look_a, look_b = flags_looked_at(i.skip_a, i.skip_b, finite_a, finite_b)
        bits = (i.skip_a, i.skip_b, finite_a, finite_b, look_a, look_b)
        return sum(1 << k for k, bit in enumerate(bits) if bit)

    def _unpack(self, request: UnpackKernel) -> int:
        """The kernel that makes a page ready for a product, -1 if it can be used as it lies in L1."""
        if request.dtype is request.dtype.wide and not request.transpose:
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
        look = flag_cost(self.machine, len(i.operands) if i.dead else len(i.zeros))
        cost = map_cost(self.machine, kernel.expr, from_cb) + look
        use = (sum(1 << k for k in i.zeros), int(i.dead), look.unpack, i.guard)
        return (c.OP_MAP, *_costs(cost), request, i.dst, first, len(i.operands), int(apart), *use)

    def _operand(self, operand: ins.CbTile | ins.DstTile) -> Row:
        if isinstance(operand, ins.DstTile):
            return (-1 - operand.index, 0)
        return (operand.cb, self.code.affine(operand.offset))

    def reduce(self, i: ins.Reduce) -> Row:
        kernel = self.code.kernel(ReduceKernel(i.combine, i.axis, i.dtype))
        cost, total = reduce_cost(self.machine), int(i.combine is ins.Combine.SUM)
        return (c.OP_REDUCE, *_costs(cost), kernel, i.dst, i.source, *self._mask(i.mask), total)

    def pack(self, i: ins.Pack) -> Row:
        dtype = self.buffers[i.cb].dtype
        kernel = self.code.kernel(PackKernel(dtype, i.accumulate))
        cost = pack_cost(self.machine, dtype, i.accumulate)
        mask = self._mask(i.mask) if i.mask else (-1, 0, -1, 0)
        checked = self.buffers[i.cb].checked
        scan = self.code.kernel(ScanKernel(dtype)) if checked or self.flags else -1
        target = (i.dst, i.cb, self.code.affine(i.offset))
        return (c.OP_PACK, *_costs(cost), kernel, *target, *mask, int(i.accumulate), scan, int(checked))

    def _mask(self, mask: ins.Mask) -> Row:
        return (mask.rows, self.code.affine(mask.row_tile), mask.columns, self.code.affine(mask.column_tile))


_BUFFER_OPS: Mapping[type, int] = {
    ins.Reserve: c.OP_RESERVE,
    ins.Push: c.OP_PUSH,
    ins.Wait: c.OP_WAIT,
    ins.Pop: c.OP_POP,
}

_ENCODERS: Mapping[type, Callable[[Encoder, Any], Row]] = {
    ins.Fetch: Encoder.fetch,
    ins.Reserve: Encoder.on_buffer,
    ins.Push: Encoder.on_buffer,
    ins.Wait: Encoder.on_buffer,
    ins.Pop: Encoder.on_buffer,
    ins.Read: Encoder.transfer,
    ins.Sense: Encoder.sense,
    ins.Write: Encoder.transfer,
    ins.Gather: Encoder.gather,
    ins.Take: Encoder.take,
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
    ins.Probe: Encoder.probe,
    ins.Loop: Encoder.loop,
    ins.End: Encoder.end,
}


def _variable_column(variable: int) -> int:
    return c.VARIABLE + variable if variable >= 0 else c.NO_VARIABLE


def _amount(amount: ins.Amount) -> Row:
    """A number, and the column of `threads` to add to it."""
    return (0, _variable_column(amount.index)) if isinstance(amount, ins.Variable) else (amount, c.NO_VARIABLE)


def _costs(cost: ComputeCost) -> Row:
    return (cost.unpack, cost.math, cost.pack)


def bit_pattern(value: float | int, dtype: DType) -> int:
    """The 32 bits of a register element, as a signed integer."""
    if dtype is DType.F32:
        return cast(int, struct.unpack("<i", struct.pack("<f", value))[0])
    return int(value)


def keeps_flags(image: im.Image) -> bool:
    """Whether some instruction of the image looks at flags, or a tensor keeps them; if not, there are none."""
    if any(tensor.flagged for tensor in image.tensors):
        return True
    codes = {
        id(code): code
        for epoch in image.epochs
        for program in epoch.programs
        for code in (program.read, program.compute, program.write)
    }
    return any(_looks_at_flags(instruction) for code in codes.values() for instruction in code.instructions)


def _looks_at_flags(i: ins.Instruction) -> bool:
    if isinstance(i, ins.Matmul):
        return i.skip_a or i.skip_b or i.guard >= 0
    if isinstance(i, ins.Map):
        return bool(i.zeros) or i.dead or i.guard >= 0
    return isinstance(i, ins.Probe) or (isinstance(i, ins.Read) and i.guard >= 0)


def encode_programs(image: im.Image, epoch: im.Epoch, index_maps: Mapping[int, int]) -> Code:
    """Encode the programs of an epoch; a thread's rows end with `OP_DONE`."""
    code = Code()
    flags = keeps_flags(image)
    for program in epoch.programs:
        encoder = Encoder(image.machine, image, program.buffers, index_maps, code, flags)
        for number, thread in enumerate((program.read, program.write, program.compute)):
            code.starts[3 * program.core + number] = len(code.rows)
            code.add_tables(thread.tables)
            code.rows.extend(_closed([encoder.encode(i) for i in thread.instructions], len(code.rows)))
            code.rows.append((c.OP_DONE,))
            code.origins.extend((*thread.origins, -1))
            code.instructions.extend((*thread.instructions, None))
    return code


def _closed(rows: list[Row], first: int) -> list[Row]:
    """The rows of a thread, of which the first is number `first`; loops get the number of the row behind them."""
    opened: list[int] = []
    for at, row in enumerate(rows):
        if row[0] == c.OP_LOOP:
            opened.append(at)
        elif row[0] == c.OP_END:
            begin = opened.pop()
            rows[begin] = (*rows[begin], first + at + 1)
    return rows


def table(rows: list[Row], columns: int) -> Table:
    """Rows padded with zeros to `columns`; never empty, so that native code can take its address."""
    if rows and all(len(row) == columns for row in rows):
        return np.array(rows, np.int64)
    padded = np.zeros((max(1, len(rows)), columns), np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
