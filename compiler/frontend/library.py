"""Load texts, the files that they import, and the standard library."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol

import grammar
from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source
from compiler.frontend import ast
from compiler.frontend.context import did_you_mean
from compiler.frontend.names import check
from compiler.frontend.parse import parse


@dataclass(frozen=True, slots=True)
class Missing:
    """No file fits an `import`; `looked` are the places that were tried."""

    looked: tuple[str, ...] = ()


class Finder(Protocol):
    """Where the files of `import` come from."""

    def __call__(self, path: tuple[str, ...], importer: str) -> Source | Missing:
        """Return the text that the names `path` stand for in the file called `importer`."""


def nowhere(path: tuple[str, ...], importer: str) -> Missing:
    """Find nothing: for a text that is no file."""
    return Missing()


def load(text: str, name: str, find: Finder = nowhere) -> ast.Module:
    """Parse `text`, called `name` in messages, with all that it imports, and check its names.

    Raises `DiagnosticError` with all that is wrong.
    """
    return _Loader(find).load(Source(name, text))


@cache
def library() -> ast.Module:
    """The standard library, parsed once per process; tests check its names."""
    return parse(Source("<std.mesh>", grammar.standard_library()))


def by_name(module: ast.Module) -> dict[str, ast.Function]:
    """The functions that a module defines."""
    return {function.name.text: function for function in module.functions}


def visible(module: ast.Module) -> dict[str, ast.Function]:
    """The functions that a module can call: those of the library, those it imports, its own."""
    functions = by_name(library())
    for part in (*module.modules, module):
        functions |= by_name(part)
    return functions


def reachable(module: ast.Module) -> dict[str, ast.Module]:
    """`module` and all that it imports, directly or not, by the name of the source."""
    found = {module.source.name: module}
    for part in module.modules:
        found |= {name: other for name, other in reachable(part).items() if name not in found}
    return found


def settings(module: ast.Module, sizes: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Deal out `sizes` to the files that they belong to, by the name of the source: `NAME` to `module` itself,
    `file.NAME` to what it or another file imports as `file`. Raises E0208 for a file that nobody imports."""
    files: dict[str, list[str]] = {"": [module.source.name]}
    for part in reachable(module).values():
        for item, imported in zip(part.imports, part.modules, strict=False):
            files.setdefault(str(item), []).append(imported.source.name)
    given: dict[str, dict[str, int]] = {}
    for name, size in sizes.items():
        path, _, dim = name.rpartition(".")
        if path not in files:
            helps = did_you_mean(path, files) or ("a size of an imported file is called `file.NAME`",)
            message = f"`{module.source.name}` imports nothing called `{path}`"
            raise DiagnosticError((Diagnostic("E0208", message, helps=helps),), {module.source.name: module.source})
        for source in files[path]:
            given.setdefault(source, {})[dim] = size
    return given


@dataclass(slots=True)
class _Loader:
    """Loads each file once; `way` are the imports that led to the file at hand."""

    find: Finder
    loaded: dict[str, ast.Module] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    way: list[tuple[str, ast.Import]] = field(default_factory=list)

    def load(self, source: Source) -> ast.Module:
        self.sources[source.name] = source
        module = parse(source)
        problems: list[Diagnostic] = []
        modules: list[ast.Module] = []
        for item in module.imports:
            try:
                modules.append(self.imported(item, source.name))
            except DiagnosticError as error:
                problems += error.diagnostics
        _refuse(problems, self.sources)
        module = replace(module, modules=tuple(modules))
        known = by_name(library())
        for part in modules:
            known |= by_name(part)
        _refuse([*_clashes(module), *check(module, known)], self.sources)
        self.loaded[source.name] = module
        return module

    def imported(self, item: ast.Import, importer: str) -> ast.Module:
        found = self.find(tuple(part.text for part in item.path), importer)
        if isinstance(found, Missing):
            notes = tuple(f"there is no `{place}`" for place in found.looked)
            helps = () if found.looked else ("a text that is no file has no folder in which to look",)
            message = f"nothing to import is called `{item}`"
            raise DiagnosticError((Diagnostic("E0220", message, (Label(item.span),), notes, helps),), self.sources)
        self.way.append((importer, item))
        self.refuse_cycle(found.name)
        module = self.loaded.get(found.name) or self.load(found)
        self.way.pop()
        return module

    def refuse_cycle(self, name: str) -> None:
        names = [importer for importer, _ in self.way]
        if name not in names:
            return
        circle = self.way[names.index(name) :]
        files = " → ".join(f"`{step}`" for step in [*(importer for importer, _ in circle), name])
        first, *others = (Label(item.span) for _, item in reversed(circle))
        helps = ("move what both need to a file of its own",)
        message = f"files import each other in a circle: {files}"
        raise DiagnosticError((Diagnostic("E0221", message, (first, *others), helps=helps),), self.sources)


def _clashes(module: ast.Module) -> list[Diagnostic]:
    """Functions that come from two imports, or from one and from the file itself."""
    problems = []
    first: dict[str, ast.Name] = {}
    origins = [(item.span, part) for item, part in zip(module.imports, module.modules, strict=True)]
    for span, part in [*origins, (None, module)]:
        for function in part.functions:
            name = function.name
            other = first.setdefault(name.text, name)
            if other.span == name.span or (span is None and other.span.source == name.span.source):
                continue
            message = f"the function `{name.text}` is defined twice"
            labels = [Label(span, "imported here")] if span is not None else []
            labels += [Label(name.span, "defined here"), Label(other.span, "and here")]
            problems.append(Diagnostic("E0203", message, tuple(labels), helps=("rename one of them",)))
    return problems


def _refuse(problems: list[Diagnostic], sources: Mapping[str, Source]) -> None:
    if problems:
        raise DiagnosticError(tuple(problems), dict(sources))
