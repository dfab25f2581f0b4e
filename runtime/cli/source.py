"""From the file and the options of a command to a checked program, by way of the front end alone."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.diagnostics import Diagnostic, DiagnosticError, Severity, Source
from compiler.frontend import Module, load, lower
from compiler.frontend.library import library, reachable
from compiler.frontend.lint import lint
from compiler.ir import TensorGraph
from runtime.errors import bad_input
from runtime.imports import FileFinder

EVERY = "all"


@dataclass(frozen=True, slots=True)
class Lowered:
    """A graph, what is doubtful about its program, and the texts that messages may point into."""

    graph: TensorGraph
    warnings: tuple[Diagnostic, ...]
    sources: Mapping[str, Source]


def open_module(file: str, arguments: Namespace) -> Module:
    """Load a file and what it imports; raises E0529 and whatever the front end has to say."""
    find = FileFinder([Path(folder) for folder in arguments.path])
    source = find.open(Path(file))
    return load(source.text, source.name, find)


def lowered(module: Module, program: str | None, arguments: Namespace) -> Lowered:
    """Lower a program (None: the only one); raises denied warnings as errors."""
    warnings = lint(module)
    graph = lower(module, program, sizes_of(arguments.set), warnings.append)
    refuse_denied(warnings, arguments.deny, sources_of(module))
    return Lowered(graph, tuple(warnings), sources_of(module))


def sources_of(module: Module) -> dict[str, Source]:
    return {part.source.name: part.source for part in (*reachable(module).values(), library())}


def refuse_denied(warnings: Sequence[Diagnostic], deny: Sequence[str], sources: Mapping[str, Source]) -> None:
    """Raise the warnings that `--deny` names, as errors."""
    denied = [warning for warning in warnings if EVERY in deny or warning.code in deny]
    if denied:
        errors = (replace(warning, severity=Severity.ERROR) for warning in denied)
        raise DiagnosticError(tuple(errors), dict(sources))


def sizes_of(settings: Sequence[str]) -> dict[str, int]:
    """Read `DIM=SIZE` settings; raises E0533 for one that is not of that form."""
    sizes: dict[str, int] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not (name and equals and text.isascii() and text.isdigit() and int(text) > 0):
            raise bad_input(
                "E0533", f"`--set {setting}` is not of the form DIM=SIZE with a positive size", helps=["`--set B=128`"]
            )
        sizes[name] = int(text)
    return sizes
