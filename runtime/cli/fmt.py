"""`meshc fmt`: one layout for every program."""

import sys
from argparse import Namespace
from pathlib import Path

from compiler.diagnostics import Source
from compiler.frontend.format import format_text
from runtime.cli.exit_codes import ExitCode
from runtime.cli.terminal import Terminal
from runtime.files import read_source, replacing

STANDARD_INPUT = "-"


def run(arguments: Namespace, terminal: Terminal) -> int:
    sources = [_read(file) for file in arguments.files]
    texts = [format_text(source) for source in sources]  # before anything is written: one wrong file stops all
    changed = []
    for file, source, text in zip(arguments.files, sources, texts, strict=True):
        if text != source.text:
            changed.append(file)
        if file == STANDARD_INPUT and not arguments.check:
            terminal.text(text)
        elif text != source.text:
            _change(file, text, arguments.check, terminal)
    terminal.document({"ok": not (changed and arguments.check), "changed": changed})
    return ExitCode.CHECK_FAILED if changed and arguments.check else ExitCode.OK


def _read(file: str) -> Source:
    return Source("<stdin>", sys.stdin.read()) if file == STANDARD_INPUT else read_source(Path(file))


def _change(file: str, text: str, check: bool, terminal: Terminal) -> None:
    if not check:
        with replacing(Path(file)) as target:
            target.write(text.encode())
    terminal.text(f"{'would change' if check else 'changed'} {file}")
