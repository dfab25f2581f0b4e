"""`meshc explain`: what a code means, with an example and what to do; why a run took as long as it did; or what of a
program is left out."""

from argparse import Namespace
from pathlib import Path

from runtime.cli.codes import page_of
from runtime.cli.exit_codes import ExitCode
from runtime.cli.terminal import Terminal
from runtime.errors import bad_input

RUN_SUFFIX = ".json"
PROGRAM_SUFFIX = ".mesh"
OF_PROGRAMS = ("program", "set", "path", "deny", "machine", "weights", "prune", "assume_finite")
"""Options that say something about a program only."""


def run(arguments: Namespace, terminal: Terminal) -> int:
    _check(arguments)
    if arguments.pruned:
        from runtime.cli.explain_pruned import explain_pruned

        return explain_pruned(arguments, terminal)
    if Path(arguments.subject).suffix == RUN_SUFFIX:
        from runtime.cli.explain_run import explain_run

        return explain_run(arguments, terminal)
    page = page_of(arguments.subject)
    terminal.text(f"{page.code}: {page.meaning}")
    if page.text:
        terminal.text(f"\n{page.text}")
    terminal.document({"ok": True, "code": page.code, "meaning": page.meaning, "text": page.text})
    return ExitCode.OK


def _check(arguments: Namespace) -> None:
    """Raise E0542 for options that do not fit the subject."""
    program = Path(arguments.subject).suffix == PROGRAM_SUFFIX
    if arguments.pruned and not program:
        raise bad_input("E0542", f"`meshc explain --pruned` needs a .mesh program, but `{arguments.subject}` is none")
    if program and not arguments.pruned:
        raise bad_input(
            "E0542",
            f"`meshc explain {arguments.subject}` does not say what is to be explained",
            helps=["`--pruned` explains what is left out of a program"],
        )
    given = ["--try"] if arguments.pruned and arguments.trial else []
    if not arguments.pruned:
        given = [f"--{name.replace('_', '-')}" for name in OF_PROGRAMS if getattr(arguments, name)]
    if given:
        raise bad_input("E0542", f"`{given[0]}` says nothing about `{arguments.subject}`", helps=["leave it out"])
