"""Warn about names: those that nothing uses and those that hide others. Both are told from the text alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from compiler.diagnostics import Diagnostic, Label, Severity, Span
from compiler.frontend import ast
from compiler.frontend.catalog import SCAN
from compiler.frontend.library import by_name

Definition: TypeAlias = ast.Function | ast.Program

UNUSED = "W0101"
SHADOWED = "W0102"


def lint(module: ast.Module) -> list[Diagnostic]:
    """Return the warnings about `module`, whose names are in order, by place; imported files are not looked at.

    A name that begins with `_` may be unused. A file without programs is there to be imported: its functions are used.
    """
    found = [*_definitions(module)]
    definitions = _all(module)
    for item in definitions:
        found += _unused_names(item)
        found += _shadowed(item, {dim.name.text: dim.name.span for dim in module.dims})
    return sorted(found, key=lambda warning: warning.labels[0].span)


def _all(module: ast.Module) -> list[Definition]:
    """The definitions of a file, those inside of others too."""
    return [*ast.all_functions([*module.functions, *module.programs]), *module.programs]


def _warning(code: str, message: str, *labels: Label, helps: Iterable[str] = ()) -> Diagnostic:
    return Diagnostic(code, message, labels, helps=tuple(helps), severity=Severity.WARNING)


def _definitions(module: ast.Module) -> Iterator[Diagnostic]:
    """Sizes, functions and imports that nothing in the file uses."""
    used = {dim_name for dim in module.dims for dim_name in _names(ast.walk(dim.value))}
    used |= {name for statement in module.asserts for name in _names(ast.walk(statement.condition))}
    called = set[str]()
    definitions = _all(module)
    for definition in definitions:
        nodes = list(_nodes(definition))
        used |= _names(nodes)
        called |= {node.function.text for node in nodes if isinstance(node, ast.Call)} | _scanned(nodes)
    for dim in module.dims:
        if dim.name.text not in used and not _is_exempt(dim.name):
            yield _unused("size", dim.name)
    if not module.programs:
        return
    for function in ast.all_functions([*module.functions, *module.programs]):
        if function.name.text not in called and not _is_exempt(function.name):
            yield _unused("function", function.name)
    for item, part in zip(module.imports, module.modules, strict=True):
        if not by_name(part).keys() & called:
            helps = ("remove the import",)
            yield _warning(UNUSED, f"nothing of the import `{item}` is used", Label(item.span), helps=helps)


def _is_exempt(name: ast.Name) -> bool:
    return name.text.startswith("_")


def _unused(what: str, name: ast.Name) -> Diagnostic:
    helps = (f"remove it, or call it `_{name.text}`",)
    return _warning(UNUSED, f"the {what} `{name.text}` is never used", Label(name.span), helps=helps)


def _unused_names(item: Definition) -> Iterator[Diagnostic]:
    """Parameters, and names that a body assigns, of which no value is ever read."""
    nodes = list(_nodes(item))
    used = _names(nodes)
    used |= {parameter.name.text for parameter in item.parameters if parameter.mode is ast.Mode.STATE}
    names = [("parameter", parameter.name) for parameter in item.parameters]
    names += [("name", target) for target in ast.targets(item.body)]
    said = set[str]()
    for what, name in names:
        if name.text not in used | said and not _is_exempt(name):
            said.add(name.text)
            yield _unused(what, name)


def _shadowed(item: Definition, dims: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """Indices, and names of loops, that hide a value or a size."""
    known = {**dims, **{parameter.name.text: parameter.name.span for parameter in item.parameters}}
    for target in ast.targets(item.body):
        known.setdefault(target.text, target.span)
    for name in _introduced(item.body):
        if name.text in known:
            place = Label(known[name.text], "what it hides")
            helps = (f"rename it, for example `{name.text}_`",)
            message = f"the index `{name.text}` hides a value of the same name"
            yield _warning(SHADOWED, message, Label(name.span), place, helps=helps)


def _introduced(body: Sequence[ast.Statement]) -> Iterator[ast.Name]:
    """The indices of reductions and the names of loops; on a left side, what has a value is no index."""
    for statement in ast.statements(body):
        if isinstance(statement, ast.For):
            yield statement.name
        for expression in ast.expressions(statement):
            for node in ast.walk(expression):
                if isinstance(node, ast.Reduction):
                    yield from node.indices


def _nodes(item: Definition) -> Iterator[ast.Item]:
    """Every expression of a definition: those of its types, its defaults and its statements."""
    types = [parameter.type for parameter in item.parameters] + [result.type for result in item.results]
    roots: list[ast.Item] = [extent for type in types for extent in type.extents]
    roots += [parameter.default for parameter in item.parameters if parameter.default is not None]
    roots += [expression for statement in ast.statements(item.body) for expression in ast.expressions(statement)]
    for root in roots:
        yield from ast.walk(root)


def _scanned(nodes: Iterable[ast.Item]) -> set[str]:
    """The functions that calls of `scan` name."""
    calls = (node for node in nodes if isinstance(node, ast.Call) and node.function.text == SCAN)
    return _names(part for node in calls for part in node.arguments[:1])


def _names(nodes: Iterable[ast.Item]) -> set[str]:
    return {node.text for node in nodes if isinstance(node, ast.Name)}
