"""`scan`: a function applied to one element of an axis after the other, written out when the program is compiled."""

from collections.abc import Callable, Mapping, Sequence

from compiler.diagnostics import Label, Span
from compiler.frontend import ast
from compiler.frontend.arranging import join
from compiler.frontend.context import Context
from compiler.frontend.options import tensor_operand
from compiler.frontend.shapes import Item, reshape, subscript
from compiler.frontend.values import Operand, Tensor

Call = Callable[[dict[str, Operand]], list[Operand]]


def scan(
    ctx: Context,
    function: ast.Function,
    carried: Sequence[Operand],
    options: Mapping[str, Sequence[Operand]],
    *,
    call: Call,
    span: Span,
) -> list[Operand]:
    """Call `function(elements of over..., carried..., given...)` for each element of the first axes of `over`.

    Its first results are the carried values for the next call; the others are stacked along a new first axis. Returns
    the last carried values, then the stacks. Raises E0209 for wrong numbers of arguments and results, E0301 when the
    first axes differ and E0308 when one is missing.
    """
    over = [tensor_operand(ctx, "scan", operand) for operand in options.get("over", ())]
    count = _steps(ctx, over, span)
    names = [parameter.name.text for parameter in function.parameters]
    given = options.get("given", ())
    if len(names) != len(over) + len(carried) + len(given) or len(function.results) < len(carried):
        message = (
            f"`{function.name.text}` has {len(names)} parameters and {len(function.results)} results, but `scan` gives "
            f"it {len(over)} elements, {len(carried)} carried values and {len(given)} others"
        )
        helps = ("it takes them in this order, and returns the carried values first",)
        raise ctx.error("E0209", message, Label(span), Label(function.name.span, "declared here"), helps=helps)
    stacks: list[list[Operand]] = [[] for _ in function.results[len(carried) :]]
    for step in range(count):
        elements = [Operand(subscript(ctx, operand, [Item(step, span)], span), operand.span) for operand in over]
        results = call(dict(zip(names, [*elements, *carried, *given], strict=True)))
        carried = results[: len(carried)]
        for stack, result in zip(stacks, results[len(carried) :], strict=True):
            stack.append(_layer(ctx, result, span))
    return [*carried, *(Operand(join(ctx, stack, 0, span), span) for stack in stacks)]


def _steps(ctx: Context, over: Sequence[Operand], span: Span) -> int:
    if not over:
        raise ctx.error("E0209", "the call of `scan` lacks `over`", Label(span))
    extents: list[int] = []
    for operand in over:
        assert isinstance(operand.value, Tensor)
        if operand.value.rank == 0:
            message = "`scan` runs along the first axis, but the value has none"
            raise ctx.error("E0308", message, Label(operand.span, f"this is {operand.value}"))
        extents.append(operand.value.shape[0])
        if extents[-1] != extents[0]:
            message = f"`scan` runs along first axes of different extents: {extents[0]} and {extents[-1]}"
            raise ctx.error("E0301", message, Label(operand.span), Label(over[0].span))
    return extents[0]


def _layer(ctx: Context, operand: Operand, span: Span) -> Operand:
    value = operand.value
    assert isinstance(value, Tensor)
    return Operand(reshape(ctx, operand, (1, *value.shape), span), operand.span)
