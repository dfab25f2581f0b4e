"""Kernels for `Map`: one loop over the rows of a tile, two groups of lanes per row."""

from llvmlite import ir

from compiler.numerics import TILE, DType, ScalarOp
from compiler.program.image import Operand, Spread
from emulator.kernels import arithmetic
from emulator.kernels.lanes import (
    F32,
    I1,
    I8,
    I16,
    I32,
    I64,
    LANES,
    Lanes,
    Value,
    counted,
    i32,
    kernel_function,
    load,
    pointer_argument,
    splat,
    store,
    vector,
)
from emulator.kernels.requests import MapKernel

_STORED = {DType.F32: F32, DType.BF16: I16, DType.I32: I32, DType.BOOL: I8}


def stored_type(dtype: DType, in_register: bool) -> ir.Type:
    """How an element lies in a page, or in a register."""
    if in_register:
        return F32 if dtype.is_float else I32
    return _STORED[dtype]


def from_stored(v: Lanes, x: Value, dtype: DType, in_register: bool) -> Value:
    """Loaded lanes as the lanes that `arithmetic` works on."""
    b = v.b
    if dtype is DType.BOOL:
        return b.icmp_unsigned("!=", x, splat(x.type.element, 0))
    if dtype is DType.BF16 and not in_register:
        return v.bits(b.shl(b.zext(x, vector(I32)), i32(16)), F32)
    return x


def to_register(v: Lanes, x: Value) -> Value:
    """Result lanes as a register holds them: bools as 0 and 1."""
    return v.b.zext(x, vector(I32)) if x.type.element == I1 else x


def emit_map(module: ir.Module, name: str, request: MapKernel) -> None:
    """Arguments: the register to write, then a page or a register per operand."""
    builder, arguments = kernel_function(module, name)
    v = Lanes(builder)
    target = pointer_argument(builder, arguments, 0)
    operands = request.kernel.operands
    bases = [pointer_argument(builder, arguments, 1 + k) for k in range(len(operands))]
    with counted(builder, TILE, "row") as row:
        for group in range(TILE // LANES):
            values = [
                _operand(v, base, operand, in_register, row, group)
                for base, operand, in_register in zip(bases, operands, request.registers, strict=True)
            ]
            result = to_register(v, _evaluate(v, request, values))
            place = builder.add(builder.mul(row, I64(TILE)), I64(group * LANES))
            store(builder, result, target, result.type.element, place)
    builder.ret_void()


def _operand(v: Lanes, base: Value, operand: Operand, in_register: bool, row: Value, group: int) -> Value:
    b = v.b
    element = stored_type(operand.dtype, in_register)
    if operand.spread is Spread.SCALAR:
        lanes = v.broadcast(load(b, element, base, element, I64(0)))
    elif operand.spread is Spread.COLUMN:
        lanes = v.broadcast(load(b, element, base, element, b.mul(row, I64(TILE))))
    elif operand.spread is Spread.ROW:
        lanes = load(b, vector(element), base, element, I64(group * LANES))
    elif operand.spread is Spread.TRANSPOSE:
        lanes = transposed(v, base, element, row, group)
    else:
        lanes = load(b, vector(element), base, element, b.add(b.mul(row, I64(TILE)), I64(group * LANES)))
    return from_stored(v, lanes, operand.dtype, in_register)


def transposed(v: Lanes, base: Value, element: ir.Type, row: Value, group: int) -> Value:
    """Lanes of column `row`, collected one by one."""
    b = v.b
    lanes: Value = ir.Constant(vector(element), ir.Undefined)
    for lane in range(LANES):
        index = b.add(row, I64((group * LANES + lane) * TILE))
        lanes = b.insert_element(lanes, load(b, element, base, element, index), I32(lane))
    return lanes


def _evaluate(v: Lanes, request: MapKernel, operands: list[Value]) -> Value:
    values: list[Value] = []
    nodes = request.kernel.expr.nodes
    for node in nodes:
        if node.op is ScalarOp.ARG:
            values.append(operands[int(node.value)])
        elif node.op is ScalarOp.CONST:
            values.append(arithmetic.constant(node))
        else:
            types = [nodes[a].dtype for a in node.args]
            values.append(arithmetic.apply(v, node, [values[a] for a in node.args], types))
    return values[-1]
