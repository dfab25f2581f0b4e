"""`meshc explain`: what a code means, with an example and what to do; or why a run took as long as it did."""

from argparse import Namespace
from pathlib import Path

from runtime.cli.codes import page_of
from runtime.cli.exit_codes import ExitCode
from runtime.cli.terminal import Terminal

RUN_SUFFIX = ".json"


def run(arguments: Namespace, terminal: Terminal) -> int:
    if Path(arguments.subject).suffix == RUN_SUFFIX:
        from runtime.cli.explain_run import explain_run

        return explain_run(arguments, terminal)
    page = page_of(arguments.subject)
    terminal.text(f"{page.code}: {page.meaning}")
    if page.text:
        terminal.text(f"\n{page.text}")
    terminal.document({"ok": True, "code": page.code, "meaning": page.meaning, "text": page.text})
    return ExitCode.OK
