"""Loops with a condition: turns up to a limit, written out; those that are not taken change nothing."""

from collections.abc import Iterable, Mapping

from compiler.diagnostics import Label, Span
from compiler.frontend import ast
from compiler.frontend.context import Context
from compiler.frontend.control import truth
from compiler.frontend.elementwise import convert, elementwise
from compiler.frontend.options import integer
from compiler.frontend.shapes import reshape
from compiler.frontend.values import Number, Operand, Tensor, Value
from compiler.numerics import DType, ScalarOp


def limit_of(ctx: Context, operand: Operand) -> int:
    """The largest number of turns; raises E0312."""
    limit = integer(ctx, operand, "the limit of a `while`")
    if limit < 1:
        raise ctx.error("E0312", f"the limit of a `while` is {limit}, but must be positive", Label(operand.span))
    return limit


def carried(ctx: Context, statement: ast.For | ast.While, values: Mapping[str, Value | None]) -> dict[str, Span]:
    """The names that a turn hands on to the next, those with a value before the loop, and where the body assigns them.

    Raises E0332 when there is none.
    """
    found = {target.text: target.span for target in ast.targets(statement.body)}
    handed = {name: span for name, span in found.items() if name in values}
    if not handed:
        message = "nothing that this loop assigns has a value before it, so it changes nothing"
        helps = ("assign what it starts with before the loop",)
        raise ctx.error("E0332", message, Label(statement.span), helps=helps)
    return handed


def rank_of(values: Iterable[Value | None]) -> int:
    """The largest number of axes of what a turn hands on."""
    return max((value.rank for value in values if isinstance(value, Tensor)), default=0)


def going_on(ctx: Context, alive: Value | None, condition: Operand, rank: int) -> Value:
    """Whether a turn is taken: `condition` holds, as it did in all turns before (`alive`, None before the first).

    One for each row has the `rank` of what it chooses between, so that the machine sees its zeros as they are computed.
    """
    if isinstance(condition.value, Number):
        holds: Value = Number(truth(ctx, condition, "`while`"))
    else:
        holds = convert(ctx, condition, DType.BOOL, condition.span)
    holds = _wide(ctx, holds, rank, condition.span)
    if alive is None or alive == Number(True):
        return holds
    both = [Operand(_wide(ctx, alive, rank, condition.span), condition.span), Operand(holds, condition.span)]
    return holds if holds == Number(False) else elementwise(ctx, ScalarOp.AND, both, condition.span)


def _wide(ctx: Context, value: Value, rank: int, span: Span) -> Value:
    """`value` with axes of extent 1 at its end; a single element needs none."""
    if not isinstance(value, Tensor) or not 0 < value.rank < rank:
        return value
    return reshape(ctx, Operand(value, span), (*value.shape, *(1,) * (rank - value.rank)), span)


def after_turn(ctx: Context, alive: Operand, before: Operand, after: Operand, name: str) -> Value:
    """The value of `name` after a turn: `after` where the turn is taken, else `before`.

    Raises E0332 when the turn changes the type, or the condition fits it not; E0313 for numbers without a type.
    """
    if after.value == before.value or alive.value == Number(True):
        return after.value
    old, new = before.value, after.value
    if isinstance(old, Number) and isinstance(new, Number):
        message = f"`{name}` is a number, which has no element type, but how often it changes is known at run time only"
        raise ctx.error("E0313", message, Label(after.span), helps=(f"give it a type: `{name} = i32({old})`",))
    if isinstance(old, Tensor) and isinstance(new, Tensor) and (old.shape, old.dtype) != (new.shape, new.dtype):
        message = f"`{name}` is {old} before a turn of this loop, but {new} after it"
        raise ctx.error("E0332", message, Label(after.span), Label(before.span, "this loop"))
    kept = new if isinstance(new, Tensor) else old
    assert isinstance(kept, Tensor)
    choice = Operand(_along(ctx, alive, kept, name), alive.span)
    return elementwise(ctx, ScalarOp.WHERE, [choice, after, before], alive.span)


def _along(ctx: Context, alive: Operand, value: Tensor, name: str) -> Value:
    """`alive` with axes of extent 1 for those of `value` that it lacks at the end."""
    assert isinstance(alive.value, Tensor)
    shape = alive.value.shape
    while shape[-1:] == (1,):
        shape = shape[:-1]
    if value.shape[: len(shape)] != shape:
        message = f"the condition has a value for each of [{', '.join(map(str, shape))}], but `{name}` is {value}"
        helps = ("it has one element, or one for each element of the first axes of all that the loop changes",)
        raise ctx.error("E0332", message, Label(alive.span, f"this is {alive.value}"), helps=helps)
    if not shape and alive.value.rank == 0:
        return alive.value
    wanted = (*shape, *(1,) * (value.rank - len(shape)))
    return alive.value if wanted == alive.value.shape else reshape(ctx, alive, wanted, alive.span)
