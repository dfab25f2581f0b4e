"""`meshc compile`: from source to an image file, or to a printed form of it."""

from argparse import Namespace
from pathlib import Path

from compiler.ir import TensorGraph
from compiler.ir.printer import print_graph
from compiler.partition.printer import print_stages
from compiler.passes import PASS_NAMES
from compiler.pipeline import Compiled
from compiler.program.assembly import print_image
from compiler.program.serialize import write_file
from runtime.cli.exit_codes import ExitCode
from runtime.cli.program import IMAGE_SUFFIX, Program, compile_source, show_warnings
from runtime.cli.progress import Progress
from runtime.cli.pruning import planned_document, planned_table
from runtime.cli.summary import image_document, image_tables
from runtime.cli.terminal import Terminal
from runtime.errors import bad_input, did_you_mean


def run(arguments: Namespace, terminal: Terminal) -> int:
    _check_passes(arguments.print_after)
    printed: list[tuple[str, str]] = []

    def observe(stage: str, value: object) -> None:
        if stage in arguments.print_after and isinstance(value, TensorGraph):
            printed.append((stage, print_graph(value)))

    with Progress(terminal.error) as progress:
        program = compile_source(arguments, progress, observe)
        emitted = _emit(arguments.emit, program)
        target = _target(arguments)
        if target is not None:
            write_file(target, program.image)
    show_warnings(program, terminal)
    for stage, text in printed:
        terminal.text(f"# after {stage}")
        terminal.text(text)
    if emitted is not None:
        terminal.text(emitted)
    if emitted is None and not printed:
        _summarize(program, target, terminal)
    terminal.document(
        {"ok": True, "image": str(target) if target else None, "compile_seconds": program.compile_seconds}
        | {"emitted": emitted, "after": dict(printed)}
        | {"pruned": planned_document(program.planned) if program.planned is not None else None}
        | image_document(program.image)
    )
    return ExitCode.OK


def _check_passes(names: list[str]) -> None:
    for name in names:
        if name not in PASS_NAMES:
            raise bad_input("E0532", f"there is no pass `{name}`", helps=did_you_mean(name, PASS_NAMES, "passes"))


def _target(arguments: Namespace) -> Path | None:
    """Where the image goes: what `-o` says; without it, beside the user, unless something is printed instead."""
    if arguments.output is not None:
        return Path(arguments.output)
    if arguments.emit or arguments.print_after:
        return None
    return Path(Path(arguments.file).stem + IMAGE_SUFFIX)


def _emit(form: str | None, program: Program) -> str | None:
    compiled = program.compiled
    assert isinstance(compiled, Compiled)
    match form:
        case "graph":
            return print_graph(compiled.graph)
        case "stages":
            return print_stages(compiled.stage_graph, compiled.image.machine)
        case "asm":
            return print_image(compiled.image)
        case _:
            return None


def _summarize(program: Program, target: Path | None, terminal: Terminal) -> None:
    for table in image_tables(program.image):
        terminal.table(table)
    if program.planned is not None and not program.planned.nothing:
        terminal.table(planned_table(program.planned))
    terminal.text(f"\ncompiled in {program.compile_seconds or 0.0:.2f} s")
    if target is not None:
        terminal.text(f"wrote {target}; `meshc run {target}` runs it, `meshc asm {target}` prints it")
