"""Load texts and the standard library."""

from functools import cache

import grammar
from compiler.diagnostics import DiagnosticError, Source
from compiler.frontend import ast
from compiler.frontend.names import check
from compiler.frontend.parse import parse


def load(text: str, name: str) -> ast.Module:
    """Parse `text`, called `name` in messages, and check its names; raises `DiagnosticError` with all that is wrong."""
    module = parse(Source(name, text))
    functions = {function.name.text: function for function in library().functions}
    return _checked(module, functions)


@cache
def library() -> ast.Module:
    """The standard library, parsed and checked once per process."""
    return _checked(parse(Source("<std.mesh>", grammar.standard_library())), {})


def _checked(module: ast.Module, functions: dict[str, ast.Function]) -> ast.Module:
    problems = check(module, functions)
    if problems:
        raise DiagnosticError(tuple(problems), {module.source.name: module.source})
    return module
