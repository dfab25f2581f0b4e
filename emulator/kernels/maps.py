"""Kernels for `Map`: one loop over the rows of a tile, two groups of lanes per row."""

from llvmlite import ir

from compiler.numerics import TILE, ScalarOp
from compiler.program.image import Operand, Spread
from emulator.kernels import arithmetic
from emulator.kernels.formats import load_column, load_row
from emulator.kernels.lanes import (
    I1,
    I32,
    I64,
    LANES,
    Lanes,
    Value,
    counted,
    kernel_function,
    pointer_argument,
    store,
    vector,
)
from emulator.kernels.requests import MapKernel


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
    load_lanes = load_column if operand.spread is Spread.TRANSPOSE else load_row
    repeats_row = operand.spread in (Spread.ROW, Spread.SCALAR)
    repeats_column = operand.spread in (Spread.COLUMN, Spread.SCALAR)
    row, group = I64(0) if repeats_row else row, 0 if repeats_column else group
    lanes = load_lanes(v, base, operand.dtype, in_register, row, group)
    return v.broadcast(b.extract_element(lanes, I32(0))) if repeats_column else lanes


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
