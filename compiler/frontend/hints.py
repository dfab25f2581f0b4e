"""Hints of statements: from their clauses to what the graph carries."""

from collections.abc import Callable
from dataclasses import replace

from compiler.diagnostics import Label
from compiler.frontend import ast
from compiler.frontend.context import Context
from compiler.frontend.options import integer
from compiler.frontend.values import Operand
from compiler.ir.hints import Hint, Loading

Evaluate = Callable[[ast.Expression], Operand]


def hint_of(ctx: Context, statement: ast.Statement, evaluate: Evaluate) -> Hint | None:
    """The hint of a statement, None without clauses.

    Raises E0312 for a number that is none or out of range, E0209 for a clause given twice.
    """
    if not isinstance(statement, ast.Assign | ast.IndexAssign | ast.Return) or not statement.hints:
        return None
    hint = Hint(statement.span)
    given: dict[str, ast.Clause] = {}
    for clause in statement.hints:
        kind = "loading" if clause.word in _LOADING else clause.word
        if kind in given:
            raise ctx.error(
                "E0209", "two clauses of one kind", Label(clause.span), Label(given[kind].span, "the first")
            )
        given[kind] = clause
        least = 0 if kind in ("at", "epoch") else 1
        numbers = [_number(ctx, evaluate(number), least) for number in clause.numbers]
        hint = _with_clause(hint, clause.word, numbers)
    return hint


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
