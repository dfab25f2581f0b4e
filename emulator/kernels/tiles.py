"""Kernels for everything but maps: tile products, unpacking, reductions and packing."""

from collections.abc import Callable, Sequence
from math import inf

from llvmlite import ir

from compiler.numerics import TILE, DType
from compiler.numerics.fidelity import Part
from compiler.program.instructions import Combine, ReduceAxis
from emulator.kernels import arithmetic
from emulator.kernels.formats import load_column, load_row, store_row, stored_type
from emulator.kernels.lanes import (
    F32,
    I16,
    I32,
    I64,
    LANES,
    Lanes,
    Value,
    argument,
    counted,
    f32,
    i32,
    kernel_function,
    load,
    pointer_argument,
    splat,
    store,
    vector,
)
from emulator.kernels.requests import MatmulKernel, PackKernel, ReduceKernel, UnpackKernel

GROUPS = TILE // LANES


def _place(builder: ir.IRBuilder, row: Value, group: int) -> Value:
    return builder.add(builder.mul(row, I64(TILE)), I64(group * LANES))


def emit_unpack(module: ir.Module, name: str, request: UnpackKernel) -> None:
    """Arguments: 32-bit target, page."""
    builder, arguments = kernel_function(module, name)
    v = Lanes(builder)
    target, page = pointer_argument(builder, arguments, 0), pointer_argument(builder, arguments, 1)
    load_lanes = load_column if request.transpose else load_row
    with counted(builder, TILE, "row") as row:
        for group in range(GROUPS):
            unpacked = load_lanes(v, page, request.dtype, False, row, group)
            part = _part(v, unpacked, request.part, request.low_bits)
            store(builder, part, target, I32, _place(builder, row, group))
    builder.ret_void()


def _part(v: Lanes, bits: Value, part: Part, low_bits: int) -> Value:
    """A part of bf16 values, given and returned as the bits of f32; as `compiler.numerics.fidelity.take_part`."""
    if part is Part.WHOLE:
        return bits
    whole = v.bits(bits, F32)
    cut = v.b.and_(v.bits(bits, I32), splat(I32, -1 << (16 + low_bits)))
    nan = v.is_nan(whole)
    if part is Part.HIGH:
        return v.b.select(nan, v.bits(bits, I32), cut)
    low = v.b.fsub(whole, v.bits(cut, F32))
    endless = v.b.fcmp_unordered("une", v.b.fsub(whole, whole), splat(F32, 0.0))
    return v.b.select(endless, splat(I32, 0), v.bits(low, I32))


def emit_matmul(module: ir.Module, name: str, request: MatmulKernel, block: int) -> None:
    """Arguments: register, left and right tile of 32-bit elements, 1 to replace instead of add.

    `block` rows of the register are kept in vector registers over all of the inner loop; every element is summed in
    ascending order of the inner index, f32 with fused multiply-add (bf16 products are exact in f32, so there it
    changes nothing). Where a factor 0 annihilates, factors are looked at only if some element is not finite.
    """
    builder, arguments = kernel_function(module, name)
    tiles = tuple(pointer_argument(builder, arguments, k) for k in range(3))
    replace = builder.icmp_unsigned("!=", argument(builder, arguments, 3), I64(0))
    if not request.annihilates or request.dtype is DType.I32:
        _product(builder, tiles, replace, I32 if request.dtype is DType.I32 else F32, block)
    else:
        with builder.if_else(_all_finite(builder, tiles[1:])) as (plain, careful):
            with plain:
                _product(builder, tiles, replace, F32, block)
            with careful:
                _product(builder, tiles, replace, F32, block, annihilates=True)
    builder.ret_void()


def _all_finite(builder: ir.IRBuilder, tiles: Sequence[Value]) -> Value:
    """Whether no element of any of the f32 tiles is NaN or infinite: then the sum of all `x - x` is 0."""
    v = Lanes(builder)
    before = builder.block
    with counted(builder, TILE, "row") as row:
        total = builder.phi(vector(F32))
        total.add_incoming(f32(0.0), before)
        found = total
        for tile in tiles:
            for group in range(GROUPS):
                lanes = load(builder, vector(F32), tile, F32, _place(builder, row, group))
                found = builder.fadd(found, builder.fsub(lanes, lanes))
        total.add_incoming(found, builder.block)
    wrong = builder.icmp_unsigned("!=", v.bits(found, I32), i32(0))
    return builder.icmp_unsigned("==", builder.bitcast(wrong, I16), I16(0))


def _product(
    builder: ir.IRBuilder,
    tiles: tuple[Value, ...],
    replace: Value,
    element: ir.Type,
    block: int,
    *,
    annihilates: bool = False,
) -> None:
    """The product of two tiles, as `emit_matmul` says."""
    v = Lanes(builder)
    target, left, right = tiles
    with counted(builder, TILE // block, "block") as number:
        first = builder.mul(number, I64(block))
        places = [_place(builder, builder.add(first, I64(i)), g) for i in range(block) for g in range(GROUPS)]
        sums = [
            builder.select(replace, splat(element, 0), load(builder, vector(element), target, element, place))
            for place in places
        ]
        before = builder.block
        body = builder.append_basic_block("inner")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(I64)
        k.add_incoming(I64(0), before)
        carried = [builder.phi(vector(element)) for _ in sums]
        rows = [load(builder, vector(element), right, element, _place(builder, k, g)) for g in range(GROUPS)]
        results = []
        for i in range(block):
            index = builder.add(builder.mul(builder.add(first, I64(i)), I64(TILE)), k)
            factor = v.broadcast(load(builder, element, left, element, index))
            sums_of_row = carried[i * GROUPS : (i + 1) * GROUPS]
            results += [_accumulate(v, factor, rows[g], sums_of_row[g], annihilates) for g in range(GROUPS)]
        following = builder.add(k, I64(1))
        k.add_incoming(following, body)
        for phi, start, result in zip(carried, sums, results, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(result, body)
        after = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", following, I64(TILE)), body, after)
        builder.position_at_end(after)
        for place, result in zip(places, results, strict=True):
            store(builder, result, target, element, place)


def _accumulate(v: Lanes, x: Value, y: Value, total: Value, annihilates: bool) -> Value:
    if total.type.element == I32:
        return v.b.add(total, v.b.mul(x, y))
    added = v.fma(x, y, total)
    if not annihilates:
        return added
    zero = v.b.or_(v.b.fcmp_ordered("==", x, f32(0.0)), v.b.fcmp_ordered("==", y, f32(0.0)))
    return v.b.select(zero, total, added)


def emit_pack(module: ir.Module, name: str, request: PackKernel) -> None:
    """Arguments: page, register, valid rows, valid columns; elements outside become zero."""
    builder, arguments = kernel_function(module, name)
    v = Lanes(builder)
    page, register = pointer_argument(builder, arguments, 0), pointer_argument(builder, arguments, 1)
    rows, columns = argument(builder, arguments, 2), argument(builder, arguments, 3)
    element = stored_type(request.dtype, True)
    with counted(builder, TILE, "row") as row:
        inside_rows = builder.icmp_signed("<", row, rows)
        for group in range(GROUPS):
            place = _place(builder, row, group)
            lanes = load(builder, vector(element), register, element, place)
            if request.accumulate:
                held = load(builder, vector(element), page, element, place)
                lanes = builder.fadd(held, lanes) if element == F32 else builder.add(held, lanes)
            inside = builder.select(inside_rows, _inside(v, columns, group), splat(ir.IntType(1), 0))
            store_row(v, builder.select(inside, lanes, splat(element, 0)), page, request.dtype, row, group)
    builder.ret_void()


def _inside(v: Lanes, columns: Value, group: int) -> Value:
    """Which lanes of a group lie in columns below `columns`."""
    lanes = ir.Constant(vector(I32), [group * LANES + lane for lane in range(LANES)])
    return v.b.icmp_signed("<", lanes, v.broadcast(v.b.trunc(columns, I32)))


def _combiner(combine: Combine, dtype: DType) -> Callable[[Lanes, Value, Value], Value]:
    whole = dtype is DType.I32
    if combine is Combine.SUM:
        return (lambda v, x, y: v.b.add(x, y)) if whole else (lambda v, x, y: v.b.fadd(x, y))
    if combine is Combine.PROD:
        return (lambda v, x, y: v.b.mul(x, y)) if whole else (lambda v, x, y: v.b.fmul(x, y))
    sign = "<" if combine is Combine.MIN else ">"
    if whole:
        return lambda v, x, y: v.b.select(v.b.icmp_signed(sign, x, y), x, y)
    return arithmetic.least if combine is Combine.MIN else arithmetic.greatest


def neutral(combine: Combine, dtype: DType) -> float | int:
    """What leaves the other operand of `combine` as it is."""
    if combine is Combine.SUM:
        return 0 if dtype is DType.I32 else -0.0
    if combine is Combine.PROD:
        return 1
    lowest, highest = (arithmetic.INT_MIN, arithmetic.INT_MAX) if dtype is DType.I32 else (-inf, inf)
    return highest if combine is Combine.MIN else lowest


def emit_reduce(module: ir.Module, name: str, request: ReduceKernel) -> None:
    """Arguments: register, source register, valid rows, valid columns.

    Rows are combined in ascending order; the lanes of one row by halves.
    """
    builder, arguments = kernel_function(module, name)
    emitter = _Reduction(Lanes(builder), arguments, request)
    if request.axis is ReduceAxis.NONE:
        emitter.none()
    elif request.axis is ReduceAxis.COLUMNS:
        emitter.columns_of_each_row()
    else:
        emitter.rows_of_all()
    builder.ret_void()


class _Reduction:
    def __init__(self, v: Lanes, arguments: Value, request: ReduceKernel) -> None:
        b = v.b
        self.v, self.request = v, request
        self.target, self.source = pointer_argument(b, arguments, 0), pointer_argument(b, arguments, 1)
        self.rows, self.columns = argument(b, arguments, 2), argument(b, arguments, 3)
        self.element = I32 if request.dtype is DType.I32 else F32
        self.combine = _combiner(request.combine, request.dtype)
        self.neutral = splat(self.element, neutral(request.combine, request.dtype))

    def lanes(self, row: Value, group: int) -> Value:
        """Source lanes of a row; those outside the mask are neutral."""
        b = self.v.b
        loaded = load(b, vector(self.element), self.source, self.element, _place(b, row, group))
        inside = _inside(self.v, self.columns, group)
        inside = b.select(b.icmp_signed("<", row, self.rows), inside, splat(ir.IntType(1), 0))
        return b.select(inside, loaded, self.neutral)

    def update(self, place: Value, lanes: Value) -> None:
        """Combine lanes into the target."""
        b = self.v.b
        held = load(b, lanes.type, self.target, self.element, place)
        store(b, self.combine(self.v, held, lanes), self.target, self.element, place)

    def none(self) -> None:
        b = self.v.b
        with counted(b, TILE, "row") as row:
            for group in range(GROUPS):
                self.update(_place(b, row, group), self.lanes(row, group))

    def columns_of_each_row(self) -> None:
        b = self.v.b
        with counted(b, TILE, "row") as row:
            total = self.combine(self.v, self.lanes(row, 0), self.lanes(row, 1))
            self.update_first(b.mul(row, I64(TILE)), self.across(total))

    def update_first(self, place: Value, lanes: Value) -> None:
        """Combine lane 0 into one element of the target."""
        b = self.v.b
        held = load(b, self.element, self.target, self.element, place)
        result = self.combine(self.v, self.v.broadcast(held), lanes)
        store(b, b.extract_element(result, I32(0)), self.target, self.element, place)

    def across(self, lanes: Value) -> Value:
        """All lanes combined, by halves; the result is in lane 0."""
        width = LANES // 2
        while width:
            order = [(lane + width) % LANES for lane in range(LANES)]
            moved = self.v.b.shuffle_vector(lanes, lanes, ir.Constant(vector(I32), order))
            lanes = self.combine(self.v, lanes, moved)
            width //= 2
        return lanes

    def rows_of_all(self) -> None:
        b = self.v.b
        before = b.block
        with counted(b, TILE, "row") as row:
            totals = [b.phi(vector(self.element)) for _ in range(GROUPS)]
            sums = [self.combine(self.v, totals[g], self.lanes(row, g)) for g in range(GROUPS)]
            for phi, total in zip(totals, sums, strict=True):
                phi.add_incoming(self.neutral, before)
                phi.add_incoming(total, b.block)
        if self.request.axis is ReduceAxis.ROWS:
            for group in range(GROUPS):
                self.update(I64(group * LANES), sums[group])
        else:
            self.update_first(I64(0), self.across(self.combine(self.v, sums[0], sums[1])))
