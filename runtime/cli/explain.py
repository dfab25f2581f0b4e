"""`meshc explain`: what a code means, with an example and what to do."""

from argparse import Namespace

from runtime.cli.codes import page_of
from runtime.cli.exit_codes import ExitCode
from runtime.cli.terminal import Terminal


def run(arguments: Namespace, terminal: Terminal) -> int:
    page = page_of(arguments.subject)
    terminal.text(f"{page.code}: {page.meaning}")
    if page.text:
        terminal.text(f"\n{page.text}")
    terminal.document({"ok": True, "code": page.code, "meaning": page.meaning, "text": page.text})
    return ExitCode.OK
