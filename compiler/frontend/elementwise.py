"""Elementwise operations: rules of element types, folding of numbers, broadcasting."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from compiler.diagnostics import DiagnosticError, Label, Span
from compiler.frontend.context import Context
from compiler.frontend.folding import LOGICAL, fold, operator_name
from compiler.frontend.values import Axis, Index, Number, Operand, Tensor, Value
from compiler.ir import Iota
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import FLOATS, NUMBERS, integer_range, round_to
from compiler.numerics.expr import COMPARISONS

_Scalar: TypeAlias = int | float | bool
_NUMERIC = frozenset(
    {
        *(ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MUL, ScalarOp.DIV, ScalarOp.MOD, ScalarOp.MIN, ScalarOp.MAX),
        *(ScalarOp.NEG, ScalarOp.ABS, ScalarOp.SIGN, ScalarOp.LT, ScalarOp.LE, ScalarOp.GT, ScalarOp.GE),
    }
)
_ANY = frozenset({ScalarOp.EQ, ScalarOp.NE, ScalarOp.WHERE})
_ELEMENTS = tuple(dtype for dtype in DType if not dtype.is_block)


def elementwise(ctx: Context, op: ScalarOp, operands: Sequence[Operand], span: Span) -> Value:
    """Apply `op`, whose operands broadcast; `WHERE` takes its condition first.

    Raises E0301 for shapes that do not broadcast, E0304 for two element types, E0311 for a type that `op` does not
    take, E0313 for a number that the type cannot hold.
    """
    if op is ScalarOp.WHERE and isinstance(operands[0].value, Number):
        return operands[1 if operands[0].value.value else 2].value
    numbers = [operand.value.value for operand in operands if isinstance(operand.value, Number)]
    if len(numbers) == len(operands):
        return fold(ctx, op, numbers, span)
    if op is ScalarOp.WHERE:
        require(ctx, "where", operands[0], (DType.BOOL,))
    typed = operands[1:] if op is ScalarOp.WHERE else operands
    dtype = common_type(ctx, operator_name(op), typed, span)
    for operand in typed:
        require(ctx, operator_name(op), operand, _domain(op))
    result = DType.BOOL if op in COMPARISONS else dtype
    return _map(ctx, op, operands, (dtype, result), span)


def convert(ctx: Context, operand: Operand, dtype: DType, span: Span) -> Value:
    """Cast; a number becomes a scalar tensor of `dtype`."""
    value = operand.value
    if isinstance(value, Number):
        number = _number(ctx, operand, dtype, converting=True)
        return ctx.tensor(ctx.builder.constant(np.asarray(number), dtype, ctx.span(span)), ())
    _warn_lossy(ctx, value, dtype, span)
    axes, id = value.axes, value.id
    if dtype.is_block:  # neighbors are those of the last axis that is seen
        axes = tuple(sorted(value.axes, key=ctx.key))
        id = permute(ctx, id, [value.axes.index(axis) for axis in axes], span)
    return ctx.tensor(ctx.builder.cast(id, dtype, ctx.span(span)), axes)


def _warn_lossy(ctx: Context, value: Tensor, dtype: DType, span: Span) -> None:
    """Integers of more digits than a narrow float has; those below the extent of an `iota` are known."""
    if not value.dtype.is_integer or not dtype.is_float or dtype is DType.F32:
        return
    kind = ctx.builder.kind(value.id)
    largest = value.type.shape[kind.axis] - 1 if isinstance(kind, Iota) else integer_range(value.dtype)[1]
    exact = 1 << dtype.reach.digits
    if largest > exact:
        message = f"a cast of {value.dtype.value} to {dtype.value} keeps only integers up to {exact} exactly"
        ctx.warn("W0301", message, Label(span), helps=("cast to f32: `f32(...)`",))


def common_type(ctx: Context, name: str, operands: Sequence[Operand], span: Span) -> DType:
    """The one element type of the tensors among `operands`; raises E0304 if there are two, E0313 if there is none."""
    tensors = [(o, o.value) for o in operands if isinstance(o.value, Tensor)]
    if not tensors:
        helps = ("give one of them a type, for example `f32(1.0)`",)
        raise ctx.error("E0313", f"{name} of numbers alone has no element type", Label(span), helps=helps)
    first, value = tensors[0]
    for other, found in tensors[1:]:
        if found.dtype is not value.dtype:
            raise _mixed(ctx, name, (first, value), (other, found))
    return value.dtype


def _mixed(ctx: Context, name: str, a: tuple[Operand, Tensor], b: tuple[Operand, Tensor]) -> DiagnosticError:
    (left, x), (right, y) = a, b
    to = y.dtype if y.dtype is DType.F32 or (y.dtype.is_float and not x.dtype.is_float) else x.dtype
    which = "first" if to is y.dtype else "second"
    return ctx.error(
        "E0304",
        f"{name} mixes {x.dtype.value} and {y.dtype.value}",
        Label(right.span, f"this is {y}"),
        Label(left.span, f"this is {x}"),
        helps=(f"cast the {which} to {to.value}: `{to.value}(...)`",),
    )


def require(ctx: Context, name: str, operand: Operand, allowed: Sequence[DType]) -> None:
    """Raise E0311 unless `operand` is a number or has one of the element types `allowed`."""
    value = operand.value
    if isinstance(value, Number) or value.dtype in allowed:
        return
    names = " or ".join(dtype.value for dtype in allowed)
    message = f"{name} takes {names}, but is given {value.dtype.value}"
    helps = (f"cast it: `{allowed[0].value}(...)`",) if allowed[0] is not DType.BOOL else ("compare it: `x != 0`",)
    raise ctx.error("E0311", message, Label(operand.span, f"this is {value}"), helps=helps)


def broadcast(ctx: Context, operands: Sequence[Operand], span: Span, message: str) -> tuple[int, ...]:
    """The common visible shape of `operands`, aligned at the last axis; raises E0301 with `message`."""
    tensors = [(o, o.value) for o in operands if isinstance(o.value, Tensor)]
    first = tensors[0][1].shape
    if all(value.shape == first for _, value in tensors):
        return first
    result: list[int] = [1] * max(value.rank for _, value in tensors)
    owner = [tensors[0]] * len(result)
    for operand, value in tensors:
        for place, extent in enumerate(value.shape, len(result) - value.rank):
            if result[place] == 1 and extent != 1:
                result[place], owner[place] = extent, (operand, value)
            elif extent not in (1, result[place]):
                other, shaped = owner[place]
                raise ctx.error(
                    "E0301",
                    f"{message}: axis {place - len(result)} has extents {result[place]} and {extent}",
                    Label(operand.span, f"this is {value}"),
                    Label(other.span, f"this is {shaped}"),
                    notes=("shapes are aligned at the last axis; an extent of 1 is repeated",),
                )
    return tuple(result)


def align(ctx: Context, tensors: Sequence[Tensor], span: Span) -> tuple[tuple[Axis, ...], list[int]]:
    """Bring `tensors` to one order of axes, with axes of extent 1 where one is missing; return it and their ids."""
    rank = max(tensor.rank for tensor in tensors)
    roles = [shifted(tensor, rank) for tensor in tensors]
    if all(axes == roles[0] for axes in roles):
        return roles[0], [tensor.id for tensor in tensors]
    order = tuple(sorted({axis for axes in roles for axis in axes}, key=ctx.key))
    return order, [_arrange(ctx, tensor, axes, order, span) for tensor, axes in zip(tensors, roles, strict=True)]


def shifted(tensor: Tensor, rank: int) -> tuple[Axis, ...]:
    """The roles of the axes of `tensor` as part of a value with `rank` visible axes."""
    offset = rank - tensor.rank
    return tuple(axis if isinstance(axis, Index) else axis + offset for axis in tensor.axes)


def _arrange(ctx: Context, tensor: Tensor, roles: Sequence[Axis], order: Sequence[Axis], span: Span) -> int:
    present = [axis for axis in order if axis in roles]
    id = permute(ctx, tensor.id, [roles.index(axis) for axis in present], span)
    if len(present) == len(order):
        return id
    shape = [tensor.type.shape[roles.index(axis)] if axis in roles else 1 for axis in order]
    return ctx.builder.reshape(id, shape, ctx.span(span))


def permute(ctx: Context, id: int, perm: Sequence[int], span: Span) -> int:
    """Transpose, unless `perm` changes nothing."""
    return id if list(perm) == sorted(perm) else ctx.builder.transpose(id, perm, ctx.span(span))


def _map(ctx: Context, op: ScalarOp, operands: Sequence[Operand], types: tuple[DType, DType], span: Span) -> Tensor:
    dtype, result = types
    step = ctx.multiplication(dtype) if op is ScalarOp.MUL else op
    broadcast(ctx, operands, span, f"the operands of {operator_name(op)} do not broadcast")
    axes, ids = align(ctx, [o.value for o in operands if isinstance(o.value, Tensor)], span)
    inputs = list(dict.fromkeys(ids))
    remaining = iter(ids)
    arguments: list[_Argument] = []
    for operand in operands:
        if isinstance(operand.value, Tensor):
            arguments.append((inputs.index(next(remaining)), operand.value.dtype, ""))
        else:
            number = _number(ctx, operand, dtype)
            arguments.append((number, dtype, repr(number)))
    return ctx.tensor(ctx.builder.map(_expression(step, result, tuple(arguments)), inputs, ctx.span(span)), axes)


_Argument: TypeAlias = tuple[_Scalar, DType, str]
"""An operand's number, or the value of a constant and how it is written (0.0 == -0.0, but they differ)."""


@lru_cache(maxsize=4096)
def _expression(op: ScalarOp, result: DType, arguments: tuple[_Argument, ...]) -> Expr:
    """`op` of operands and constants; a program asks for the same few over and over."""
    expr = ExprBuilder()
    nodes = [expr.const(value, dtype) if text else expr.arg(int(value), dtype) for value, dtype, text in arguments]
    return expr.build(expr.op(op, result, *nodes))


def _number(ctx: Context, operand: Operand, dtype: DType, converting: bool = False) -> _Scalar:
    """The value of a number in `dtype`; raises E0313 if the type does not have it (a cast converts instead)."""
    assert isinstance(operand.value, Number)
    value = operand.value.value
    if not converting or (isinstance(value, int) and dtype.is_integer):
        _check_number(ctx, operand, int(value) if converting else value, dtype)
    rounded: _Scalar = round_to(np.asarray(value), dtype).astype(_WIDE[dtype.wide]).item()
    if value == value and rounded != rounded:
        raise ctx.error("E0313", f"{value} is beyond the largest {dtype.value}", Label(operand.span))
    return rounded


def _check_number(ctx: Context, operand: Operand, value: _Scalar, dtype: DType) -> None:
    helps: tuple[str, ...] = ()
    if isinstance(value, bool) is not (dtype is DType.BOOL):
        problem = f"`{operand.value}` is no number" if isinstance(value, bool) else f"{value} is not true or false"
    elif dtype.is_integer and isinstance(value, float):
        problem, helps = f"{value} is not an integer", ("cast the tensor to compute in another type: `f32(...)`",)
    elif dtype.is_integer and not integer_range(dtype)[0] <= value <= integer_range(dtype)[1]:
        problem = f"{value} does not fit into {'a' if dtype is DType.U8 else 'an'} {dtype.value}"
    else:
        return
    message = f"{problem}, but {dtype.value} is needed here"
    raise ctx.error("E0313", message, Label(operand.span), helps=helps)


_WIDE: dict[DType, type] = {DType.F32: np.float64, DType.I32: np.int64, DType.BOOL: np.bool_}


def _domain(op: ScalarOp) -> Sequence[DType]:
    if op in LOGICAL:
        return (DType.BOOL,)
    if op in _NUMERIC:
        return NUMBERS
    return _ELEMENTS if op in _ANY else FLOATS
