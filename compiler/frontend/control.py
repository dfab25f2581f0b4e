"""What is decided when a program is compiled: `if`, `for` and `assert`."""

from collections.abc import Mapping, Sequence

from compiler.diagnostics import DiagnosticError, Label
from compiler.frontend import ast
from compiler.frontend.context import Context
from compiler.frontend.options import integer
from compiler.frontend.values import Number, Operand, Tensor


def truth(ctx: Context, operand: Operand, what: str) -> bool:
    """The value of a condition that is known at compile time; raises E0331."""
    value = operand.value
    if isinstance(value, Number) and isinstance(value.value, bool):
        return value.value
    helps = ("`where(condition, a, b)` decides for each element",) if isinstance(value, Tensor) else ()
    found = Label(operand.span, f"this is {value}{', a tensor' if isinstance(value, Tensor) else ''}")
    raise ctx.error("E0331", f"the condition of {what} is true or false, known at compile time", found, helps=helps)


def loop_range(ctx: Context, bounds: Sequence[Operand | None]) -> range:
    """The numbers that the name of a `for` stands for; raises E0312."""
    given = [integer(ctx, bound, "a bound of a `for`") if bound is not None else 1 for bound in bounds]
    step = bounds[-1]
    if step is not None and given[-1] < 1:
        raise ctx.error("E0312", f"the step of a `for` is {given[-1]}, but must be positive", Label(step.span))
    return range(*given)


def failed_assertion(
    ctx: Context, statement: ast.Assert, message: str | None, sizes: Mapping[str, Number]
) -> DiagnosticError:
    """E0330, with the values of the names in the condition."""
    notes = [f"here {', '.join(f'{name} = {number}' for name, number in sizes.items())}"] if sizes else []
    return ctx.error("E0330", message or "an assertion does not hold", Label(statement.condition.span), notes=notes)


def unassigned(ctx: Context, node: ast.Name) -> DiagnosticError:
    """E0201 for a name that only a branch assigns, which is not taken, or a loop that is never entered."""
    helps = (f"assign `{node.text}` before the `if` or `for`, or in every branch",)
    message = f"`{node.text}` has no value: what assigns it is not reached with these sizes"
    return ctx.error("E0201", message, Label(node.span), helps=helps)
