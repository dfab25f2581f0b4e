"""Hints of statements: from their clauses to what the graph carries."""

from collections.abc import Callable
from dataclasses import replace

from compiler.diagnostics import Label, Span
from compiler.frontend import ast
from compiler.frontend.context import Asked, Context
from compiler.frontend.options import integer
from compiler.frontend.values import Operand
from compiler.ir.hints import Hint, Loading
from compiler.numerics import DType
from compiler.numerics.fidelity import Fidelity

Evaluate = Callable[[ast.Expression], Operand]


def hint_of(ctx: Context, statement: ast.Statement, evaluate: Evaluate) -> Hint | None:
    """The hint of a statement, None without clauses.

    Raises E0312 for a number that is none or out of range, E0209 for a clause given twice.
    """
    hint = Hint(statement.span)
    given: dict[str, ast.Clause] = {}
    for clause in _clauses(statement):
        if clause.choice is not None:
            continue
        kind = "loading" if clause.word in _LOADING else clause.word
        if kind in given:
            raise ctx.error(
                "E0209", "two clauses of one kind", Label(clause.span), Label(given[kind].span, "the first")
            )
        given[kind] = clause
        least = 0 if kind in ("at", "epoch") else 1
        numbers = [_number(ctx, evaluate(number), least) for number in clause.numbers]
        hint = _with_clause(hint, clause.word, numbers)
    return hint if given.keys() - {"prefer"} else None


def asked_fidelity(ctx: Context, statement: ast.Statement) -> tuple[Asked, Span] | None:
    """What a statement asks of its products, and where; raises E0209 for a name that is none."""
    found = None
    for clause in _clauses(statement):
        if clause.choice is None:
            continue
        name = clause.choice.text
        if clause.word == "fidelity":
            found = Asked(_fidelity(ctx, clause.choice)), clause.span
        elif name != DType.F32.value:
            message = f"sums are not accumulated in `{name}`"
            raise ctx.error(
                "E0209", message, Label(clause.choice.span), helps=("`accumulate(f32)` is how it always is",)
            )
    return found


def _fidelity(ctx: Context, name: ast.Name) -> Fidelity:
    known = {fidelity.value: fidelity for fidelity in Fidelity}
    if name.text not in known:
        helps = (f"one of {', '.join(f'`{other}`' for other in known)}",)
        raise ctx.error("E0209", f"there is no fidelity `{name.text}`", Label(name.span), helps=helps)
    return known[name.text]


def _clauses(statement: ast.Statement) -> tuple[ast.Clause, ...]:
    return statement.hints if isinstance(statement, ast.Assign | ast.IndexAssign | ast.Return) else ()


_LOADING = {loading.value for loading in Loading}


def _number(ctx: Context, operand: Operand, least: int) -> int:
    number = integer(ctx, operand, "a number of a hint")
    if number < least:
        raise ctx.error("E0312", f"a number of a hint is {number}, but must be at least {least}", Label(operand.span))
    return number


def _with_clause(hint: Hint, word: str, numbers: list[int]) -> Hint:
    match word:
        case "prefer":
            return replace(hint, soft=True)
        case "on":
            return replace(hint, cores=(numbers[0], numbers[1]))
        case "at":
            return replace(hint, corner=(numbers[0], numbers[1]))
        case "epoch":
            return replace(hint, epoch=numbers[0])
        case "buffers":
            return replace(hint, buffers=numbers[0])
        case _:
            return replace(hint, loading=Loading(word))
