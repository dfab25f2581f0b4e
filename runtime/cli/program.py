"""From the file and the options of a command to a graph and an image."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.pipeline import Compiled, CompileOptions, Observer, compile_graph
from compiler.program.image import Image
from compiler.program.serialize import read_file
from compiler.target.load import load_machine
from runtime.cli.parser import DEFAULT_MACHINE
from runtime.cli.progress import Progress
from runtime.errors import bad_input
from runtime.imports import FileFinder

IMAGE_SUFFIX = ".mimg"


@dataclass(frozen=True, slots=True)
class Program:
    """An image, and what it was made from when it was made here."""

    image: Image
    graph: TensorGraph | None = None
    """As the source says it, before any pass."""
    compiled: Compiled | None = None
    compile_seconds: float | None = None


def open_program(arguments: Namespace, progress: Progress) -> Program:
    """Load the image `arguments.file`, or compile the source; raises E0531 for an option that no image can obey."""
    path = Path(arguments.file)
    if path.suffix != IMAGE_SUFFIX:
        return compile_source(arguments, progress)
    _refuse_source_options(arguments)
    progress.stage(f"loading {path}")
    return Program(read_file(path))


def compile_source(arguments: Namespace, progress: Progress, observe: Observer | None = None) -> Program:
    """Compile `arguments.file` for the machine and with the sizes and the seed that the options name."""

    def observed(stage: str, value: object) -> None:
        progress.stage(f"compiling {arguments.file}: {stage}")
        if observe is not None:
            observe(stage, value)

    machine = load_machine(arguments.machine or DEFAULT_MACHINE)
    sizes = sizes_of(arguments.set)
    find = FileFinder([Path(folder) for folder in arguments.path])
    source = find.open(Path(arguments.file))
    progress.stage(f"compiling {arguments.file}")
    start = perf_counter()
    graph = lower(load(source.text, source.name, find), arguments.program, sizes)
    compiled = compile_graph(graph, machine, CompileOptions(seed=arguments.seed), observe=observed)
    return Program(compiled.image, graph, compiled, perf_counter() - start)


def _refuse_source_options(arguments: Namespace) -> None:
    given = [f"--{name}" for name in ("set", "program", "machine", "check") if getattr(arguments, name)]
    if given:
        raise bad_input(
            "E0531",
            f"`{given[0]}` needs the source of the program, but `{arguments.file}` is an image, already compiled",
            helps=[f"give the .mesh file in place of the image, or leave `{given[0]}` out"],
        )


def sizes_of(settings: list[str]) -> dict[str, int]:
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
