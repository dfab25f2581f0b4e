"""From arguments to exit code: dispatch, and the one place where errors become text."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from compiler.diagnostics import DiagnosticError
from runtime.cli.exit_codes import ExitCode
from runtime.cli.parser import common_options, parse
from runtime.cli.terminal import Terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `meshc` and return its exit code (see `ExitCode`); never raises for bad input."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    common = _common(words)
    terminal = Terminal.detect(common.color, json=common.json)
    try:
        return _guarded(words, terminal, common.traceback)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        terminal.abandon()
        return ExitCode.OK


def _common(words: list[str]) -> Namespace:
    """Read the options that decide how errors look, before anything can go wrong."""
    parser = common_options()
    try:
        return parser.parse_known_args(words)[0]
    except DiagnosticError:
        return parser.parse_args([])


def _guarded(words: list[str], terminal: Terminal, traceback_wanted: bool) -> int:
    try:
        return _reported(words, terminal)
    except BrokenPipeError:
        raise
    except Exception as error:  # the last resort: whatever arrives here is a bug of ours
        if traceback_wanted:
            raise
        terminal.internal_error(type(error).__name__, str(error), _place(error))
        return ExitCode.INTERNAL_ERROR


def _reported(words: list[str], terminal: Terminal) -> int:
    try:
        return _dispatch(words, terminal)
    except DiagnosticError as error:
        terminal.diagnostics(error)
        return ExitCode.BAD_INPUT


def _dispatch(words: list[str], terminal: Terminal) -> int:
    arguments = parse(words)
    module = import_module(f"runtime.cli.{arguments.command}")
    code: int = module.run(arguments, terminal)
    terminal.flush()
    return code


def _place(error: Exception) -> str:
    import traceback  # takes as long to load as all the rest

    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown place"
