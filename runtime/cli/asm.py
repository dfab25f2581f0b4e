"""`meshc asm`: an image as text, and such a text as an image."""

from argparse import Namespace
from pathlib import Path

from compiler.program.assembly import parse_image, print_image
from compiler.program.check import check_image
from compiler.program.serialize import read_file, write_file
from runtime.cli.exit_codes import ExitCode
from runtime.cli.terminal import Terminal
from runtime.errors import bad_input
from runtime.files import read_source, replacing


def run(arguments: Namespace, terminal: Terminal) -> int:
    if arguments.assemble:
        return _assemble(Path(arguments.file), arguments.output, terminal)
    text = print_image(read_file(Path(arguments.file)))
    if arguments.output is None:
        terminal.text(text)
    else:
        with replacing(Path(arguments.output)) as file:
            file.write(text.encode())
    terminal.document({"ok": True, "file": arguments.output, "assembly": text})
    return ExitCode.OK


def _assemble(path: Path, output: str | None, terminal: Terminal) -> int:
    if output is None:
        raise bad_input("E0542", "`meshc asm --assemble` needs `-o FILE`: an image is not text")
    source = read_source(path)
    image = parse_image(source.text)
    check_image(image)
    write_file(Path(output), image)
    terminal.text(f"wrote {output}")
    terminal.document({"ok": True, "file": output})
    return ExitCode.OK
