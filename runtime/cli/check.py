"""`meshc check`: everything that the front end knows about files, and nothing of the machine."""

from argparse import Namespace
from typing import Any

from compiler.diagnostics import Diagnostic, DiagnosticError, Source
from compiler.frontend.lint import lint
from runtime.cli.exit_codes import ExitCode
from runtime.cli.source import lowered, open_module, refuse_denied, sources_of
from runtime.cli.terminal import Terminal


def run(arguments: Namespace, terminal: Terminal) -> int:
    problems: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    documents = []
    for file in arguments.files:
        try:
            documents.append(_check(file, arguments, terminal))
        except DiagnosticError as error:
            problems += error.diagnostics
            sources |= error.sources
    if problems:
        raise DiagnosticError(tuple(problems), sources)
    terminal.document({"ok": True, "files": documents})
    return ExitCode.OK


def _check(file: str, arguments: Namespace, terminal: Terminal) -> dict[str, Any]:
    """Check one file and say that it is in order."""
    module = open_module(file, arguments)
    names = [program.name.text for program in module.programs] if arguments.program is None else [arguments.program]
    warnings = dict.fromkeys(lint(module))
    problems: dict[Diagnostic, None] = {}
    programs = []
    for name in names:
        try:
            found = lowered(module, name, arguments)
        except DiagnosticError as error:
            problems |= dict.fromkeys(error.diagnostics)
            continue
        warnings |= dict.fromkeys(found.warnings)
        programs.append({"name": name, "operations": len(found.graph.ops)})
    if problems:
        raise DiagnosticError(tuple(problems), sources_of(module))
    sources = sources_of(module)
    refuse_denied([*warnings], arguments.deny, sources)
    terminal.warnings([*warnings], sources)
    functions = [function.name.text for function in module.functions]
    terminal.text(f"{file}: in order; {_counted(len(programs), 'program')}, {_counted(len(functions), 'function')}")
    return {"file": file, "programs": programs, "functions": functions}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
