"""What each kind of operation demands of its operands and its result; `verify` and the builder ask here."""

from collections.abc import Iterator, Sequence
from math import prod

from compiler.ir.graph import (
    Constant,
    Contract,
    Input,
    Iota,
    Kind,
    Map,
    Reduce,
    Reshape,
    Slice,
    State,
    Take,
    TensorType,
    Transpose,
    Weight,
    Window,
)
from compiler.numerics import DType, Expr
from compiler.numerics.expr_check import expr_problem
from compiler.numerics.fidelity import Fidelity, product_dtype

Shape = tuple[int, ...]


def accumulator(dtype: DType) -> DType:
    """The type in which sums of products of `dtype` accumulate."""
    return dtype.wide


def broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """The common shape of equally long `shapes`, extents of 1 being repeated; None if there is none."""
    if len(set(shapes)) == 1:
        return shapes[0]
    if len({len(shape) for shape in shapes}) != 1:
        return None
    extents = [{extent for extent in axis if extent != 1} for axis in zip(*shapes, strict=True)]
    return None if any(len(axis) > 1 for axis in extents) else tuple(axis.pop() if axis else 1 for axis in extents)


def broadcasts_to(shape: Shape, target: Shape) -> bool:
    """True when `shape` has the rank of `target` and each extent is the target's or 1."""
    return len(shape) == len(target) and all(s in (1, t) for s, t in zip(shape, target, strict=True))


def problems(kind: Kind, operands: Sequence[TensorType], result: TensorType) -> Iterator[str]:
    """Yield every rule that the operation breaks, most fundamental first; nothing when it is well-formed."""
    if any(extent <= 0 for extent in result.shape):
        yield f"an extent of {result} is not positive"
        return
    match kind:
        case Input() | Weight() | State():
            yield from _leaf(operands)
            if not kind.name:
                yield "the name is empty"
        case Constant():
            yield from _leaf(operands)
            if len(kind.data) not in (result.dtype.itemsize, result.size * result.dtype.itemsize):
                yield f"{len(kind.data)} bytes of data do not fill {result}"
        case Iota():
            yield from _leaf(operands)
            if result.dtype is not DType.I32 or not 0 <= kind.axis < len(result.shape):
                yield f"axis {kind.axis} does not number the elements of {result}"
        case Map():
            yield from _map(kind, operands, result)
        case Reduce():
            yield from _reduce(kind, operands, result)
        case Contract():
            yield from _contract(kind, operands, result)
        case Reshape() | Transpose() | Slice() | Window():
            yield from _movement(kind, operands, result)
        case Take():
            yield from _take(operands, result)


def _leaf(operands: Sequence[TensorType]) -> Iterator[str]:
    if operands:
        yield "it takes no operands"


def _map(kind: Map, operands: Sequence[TensorType], result: TensorType) -> Iterator[str]:
    if not operands:
        yield "a map has at least one operand"
    yield from _broadcast_operands(operands, result.shape)
    yield from _expression("expression", kind.expr, [t.dtype for t in operands], result.dtype)


def _broadcast_operands(operands: Sequence[TensorType], target: Shape) -> Iterator[str]:
    for operand in operands:
        if not broadcasts_to(operand.shape, target):
            yield f"operand {operand} does not broadcast to {list(target)}"


def _expression(role: str, expr: Expr, operands: Sequence[DType], result: DType | None) -> Iterator[str]:
    problem = expr_problem(expr, operands)
    if problem is not None:
        yield f"{role}: {problem}"
    elif result is not None and expr.dtype is not result:
        yield f"{role}: gives {expr.dtype.value}, but the result is {result.value}"


def _reduce(kind: Reduce, operands: Sequence[TensorType], result: TensorType) -> Iterator[str]:
    if not 1 <= kind.body_inputs <= len(operands):
        yield f"{kind.body_inputs} body inputs of {len(operands)} operands"
        return
    body, extra = operands[: kind.body_inputs], operands[kind.body_inputs :]
    domain = broadcast([t.shape for t in body])
    if domain is None:
        yield f"body inputs {', '.join(map(str, body))} do not broadcast"
        return
    yield from _axes(kind.axes, len(domain))
    expected = reduced(domain, kind.axes)
    if expected != result.shape:
        yield f"reducing {list(domain)} along {list(kind.axes)} gives {list(expected)}, not {result}"
    yield from _expression("body", kind.body, [t.dtype for t in body], None)
    if kind.body.nodes and kind.body.dtype not in (DType.F32, DType.I32):
        yield f"body: gives {kind.body.dtype.value}, but f32 or i32 is combined"
    yield from _epilogue(kind.epilogue, kind.body, extra, result)


def _epilogue(expr: Expr, body: Expr, extra: Sequence[TensorType], result: TensorType) -> Iterator[str]:
    if body.nodes:
        yield from _broadcast_operands(extra, result.shape)
        yield from _expression("epilogue", expr, [body.dtype, *(t.dtype for t in extra)], result.dtype)


def _axes(axes: tuple[int, ...], rank: int) -> Iterator[str]:
    if not axes or list(axes) != sorted(set(axes)) or not 0 <= axes[0] <= axes[-1] < rank:
        yield f"axes {list(axes)} are not sorted, distinct axes of rank {rank}"


def reduced(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """`shape` with ones at `axes`."""
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def _contract(kind: Contract, operands: Sequence[TensorType], result: TensorType) -> Iterator[str]:
    if len(operands) < 2:
        yield "a contraction has two operands"
        return
    a, b, *extra = operands
    product = product_dtype(a.dtype, b.dtype)
    if product is None:
        yield f"operands of type {a.dtype.value} and {b.dtype.value}"
    if kind.fidelity is not Fidelity.HIFI4 and product is not DType.BF16:
        yield f"operands of type {a.dtype.value} with fidelity {kind.fidelity.value}, which is for bf16"
    if kind.annihilates and not a.dtype.is_float:
        yield f"operands of type {a.dtype.value}, of which every 0 annihilates anyway"
    letters = list(letter_problems(kind.a, kind.b, kind.out))
    if letters:
        yield letters[0]
        return
    yield from _extents(kind, a.shape, b.shape, result.shape)
    yield from _broadcast_operands(extra, result.shape)
    inputs = [accumulator(a.dtype), *(t.dtype for t in extra)]
    yield from _expression("epilogue", kind.epilogue, inputs, result.dtype)


def letter_problems(a: str, b: str, out: str) -> Iterator[str]:
    """Yield every rule about axis letters that `a, b -> out` breaks (see `Contract`)."""
    for text in (a, b, out):
        if len(text) < 2 or len(set(text)) < len(text) or not (text.isascii() and text.isalpha() and text.islower()):
            yield f"`{text}` is not two or more distinct lower-case letters"
            return
    m, n = out[-2], out[-1]
    inner = set(a[-2:]) - {m}
    if m not in a[-2:] or n not in b[-2:] or inner != set(b[-2:]) - {n} or inner & set(out):
        yield f"the last two axes of `{a}` and `{b}` are not a product with result `{m}{n}`"
    if m in b or n in a:
        yield f"`{m}` or `{n}` stands in both operands"
    if not set(out) <= set(a) | set(b):
        yield f"a letter of `{out}` stands in no operand"
    if (set(a) ^ set(b)) - set(out):
        yield "a summed letter stands in one operand only"


def _extents(kind: Contract, a: Shape, b: Shape, out: Shape) -> Iterator[str]:
    known: dict[str, int] = {}
    for letters, shape in ((kind.a, a), (kind.b, b), (kind.out, out)):
        if len(letters) != len(shape):
            yield f"`{letters}` does not name the axes of {list(shape)}"
            continue
        for letter, extent in zip(letters, shape, strict=True):
            if known.setdefault(letter, extent) != extent:
                yield f"axis `{letter}` has extents {known[letter]} and {extent}"


def _movement(
    kind: Reshape | Transpose | Slice | Window, operands: Sequence[TensorType], result: TensorType
) -> Iterator[str]:
    if len(operands) != 1 or operands[0].dtype is not result.dtype:
        yield "it takes one operand of the result's element type"
        return
    (operand,) = operands
    if operand.dtype.is_block:
        yield f"elements of {operand.dtype.value} share exponents with their neighbors, and are not moved apart"
    match kind:
        case Reshape():
            if operand.size != result.size:
                yield f"{operand} and {result} differ in size"
        case Transpose(perm):
            if sorted(perm) != list(range(len(operand.shape))):
                yield f"{list(perm)} is not a permutation of the axes of {operand}"
            elif tuple(operand.shape[axis] for axis in perm) != result.shape:
                yield f"transposing {operand} by {list(perm)} does not give {result}"
        case Slice():
            yield from _slice(kind, operand.shape, result.shape)
        case Window():
            yield from _window(kind, operand.shape, result)


def _slice(kind: Slice, operand: Shape, result: Shape) -> Iterator[str]:
    if not len(kind.starts) == len(kind.steps) == len(operand) == len(result):
        yield "one start and one step per axis are needed"
        return
    for start, step, extent, limit in zip(kind.starts, kind.steps, result, operand, strict=True):
        if start < 0 or step < 1 or start + step * (extent - 1) >= limit:
            yield f"{extent} elements from {start} by {step} do not lie in an axis of {limit}"


def _window(kind: Window, operand: Shape, result: TensorType) -> Iterator[str]:
    if any(digit < 1 for digit in kind.digits) or prod(kind.digits) != result.size:
        yield f"digits {list(kind.digits)} do not count the elements of {result}"
    if not len(kind.base) == len(kind.steps) == len(operand):
        yield "one base and one row of steps per axis are needed"
    if any(len(row) != len(kind.digits) for row in kind.steps):
        yield "a row of steps has not one step per digit"


def _take(operands: Sequence[TensorType], result: TensorType) -> Iterator[str]:
    if len(operands) != 2 or operands[0].dtype is not result.dtype or operands[1].dtype is not DType.I32:
        yield "it takes an operand of the result's element type and one of i32"
        return
    source, index = operands
    if source.dtype.is_block:
        yield f"elements of {source.dtype.value} share exponents with their neighbors, and are not moved apart"
    *lead, rows, columns = result.shape if len(result.shape) > 1 else (0, 0)
    if not all(broadcasts_to(operand.shape[:-2], tuple(lead)) for operand in operands):
        yield f"the leading axes of {source} and {index} are not those of {result}"
    elif source.shape[-1] != columns or index.shape[-2:] not in ((rows, 1), (1, rows)):
        yield f"{index} does not pick rows of {source} for {result}"
