"""Programs of several tiles per axis: products, normalizations and elementwise steps, as real networks have them.

`strategies.graphs` covers every operation on small tensors; these fill core grids, so that blocks, multicasts, shards
and several epochs occur.
"""

from hypothesis import strategies as st

from compiler.ir import GraphBuilder, ReduceKind, TensorGraph, TensorType
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.fidelity import Fidelity, product_dtype
from runtime.testing.strategies import Draw

EXTENTS = (32, 64, 96, 40, 128, 160, 224, 65, 1)
FLOATS = (DType.BF16, DType.F32, DType.F16)


@st.composite
def dense_graphs(draw: Draw, *, max_layers: int = 4) -> TensorGraph:
    """A chain of layers on a matrix, some with an axis of heads in front; the data stay moderate in size."""
    dtype = draw(st.sampled_from(FLOATS))
    heads = draw(st.sampled_from((0, 0, 1, 2, 3)))
    rows, columns = draw(st.sampled_from(EXTENTS)), draw(st.sampled_from(EXTENTS))
    builder = GraphBuilder("dense")
    shape = (heads, rows, columns) if heads else (rows, columns)
    value = builder.input("x", TensorType(shape, dtype))
    for layer in range(draw(st.integers(1, max_layers))):
        value = draw(st.sampled_from((_product, _product, _scores, _normalize, _scale, _join, _shift)))(
            draw, builder, value, layer
        )
    builder.output("y", value)
    return builder.build()


def _letters(builder: GraphBuilder, value: int) -> str:
    return "h" if len(builder.type(value).shape) == 3 else ""


def _product(draw: Draw, builder: GraphBuilder, value: int, layer: int) -> int:
    """Multiply by a weight, shared by the heads or one for each, transposed or not, perhaps of a narrower type; add a
    bias."""
    shape, dtype = builder.type(value).shape, builder.type(value).dtype
    width = draw(st.sampled_from(EXTENTS))
    head = _letters(builder, value)
    per_head = head if draw(st.booleans()) else ""
    turned = draw(st.booleans())
    extents = (width, shape[-1]) if turned else (shape[-1], width)
    stored = dtype if draw(st.booleans()) else draw(st.sampled_from([d for d in DType if product_dtype(dtype, d)]))
    weight = builder.weight(f"w{layer}", TensorType((*shape[: len(per_head)], *extents), stored))
    letters = f"{head}mk", per_head + ("nk" if turned else "kn"), f"{head}mn"
    fidelity = draw(st.sampled_from(Fidelity)) if dtype is DType.BF16 else Fidelity.HIFI4
    out = builder.contract(*letters, value, weight, fidelity=fidelity)
    if not draw(st.booleans()):
        return out
    bias = builder.weight(f"b{layer}", TensorType((1,) * (len(shape) - 1) + (width,), dtype))
    return builder.map(_binary(ScalarOp.ADD, dtype), [out, bias])


def _scores(draw: Draw, builder: GraphBuilder, value: int, layer: int) -> int:
    """Multiply by its own transpose: both sides come from one producer."""
    head = _letters(builder, value)
    return builder.contract(f"{head}mk", f"{head}nk", f"{head}mn", value, value)


def _normalize(draw: Draw, builder: GraphBuilder, value: int, layer: int) -> int:
    """Subtract the maximum, the minimum or the sum along an axis."""
    dtype = builder.type(value).dtype
    axis = draw(st.integers(0, len(builder.type(value).shape) - 1))
    kind = draw(st.sampled_from((ReduceKind.MAX, ReduceKind.MIN, ReduceKind.SUM)))
    return builder.map(_binary(ScalarOp.SUB, dtype), [value, builder.reduce(kind, (axis,), value)])


def _scale(draw: Draw, builder: GraphBuilder, value: int, layer: int) -> int:
    """An elementwise step."""
    dtype = builder.type(value).dtype
    expr = ExprBuilder()
    argument = expr.arg(0, dtype)
    half = expr.op(ScalarOp.MUL, dtype, argument, expr.const(0.5, dtype))
    return builder.map(expr.build(expr.op(ScalarOp.MAX, dtype, half, expr.const(-1.0, dtype))), [value])


def _join(draw: Draw, builder: GraphBuilder, value: int, layer: int) -> int:
    """Add another tensor of the same shape, or the transpose where the shape allows it."""
    shape, dtype = builder.type(value).shape, builder.type(value).dtype
    if shape[-1] == shape[-2] and draw(st.booleans()):
        rank = len(shape)
        other = builder.transpose(value, (*range(rank - 2), rank - 1, rank - 2))
    else:
        other = builder.input(f"r{layer}", TensorType(shape, dtype))
    return builder.map(_binary(ScalarOp.ADD, dtype), [value, other])


def _shift(draw: Draw, builder: GraphBuilder, value: int, layer: int) -> int:
    """Move the matrix inside a frame of zeros of another size, perhaps mirrored: pages come from several others."""
    shape = builder.type(value).shape
    extents = [draw(st.sampled_from(EXTENTS[:5])) for _ in shape[-2:]]
    steps = [[int(axis == d) for d in range(len(shape))] for axis in range(len(shape))]
    base = [0] * len(shape)
    for axis in (len(shape) - 2, len(shape) - 1):
        base[axis] = draw(st.sampled_from((0, -1, 32, -40, 7)))
        if draw(st.booleans()):
            base[axis], steps[axis][axis] = shape[axis] - 1 - base[axis], -1
    return builder.window(value, (*shape[:-2], *extents), base, steps)


def _binary(op: ScalarOp, dtype: DType) -> Expr:
    expr = ExprBuilder()
    return expr.build(expr.op(op, dtype, expr.arg(0, dtype), expr.arg(1, dtype)))
