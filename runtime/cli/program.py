"""From the file and the options of a command to a graph and an image."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from compiler.diagnostics import Diagnostic
from compiler.ir import TensorGraph
from compiler.pipeline import Compiled, CompileOptions, Observer, compile_graph
from compiler.program.image import Image
from compiler.program.serialize import read_file
from compiler.target.load import load_machine
from runtime.cli.parser import DEFAULT_MACHINE
from runtime.cli.progress import Progress
from runtime.cli.pruning import prune_options
from runtime.cli.source import lowered, open_module
from runtime.cli.terminal import Terminal
from runtime.errors import bad_input
from runtime.pruning import Planned, planned
from runtime.view.graphs import GraphRecord, PassStep, pass_steps

IMAGE_SUFFIX = ".mimg"


@dataclass(frozen=True, slots=True)
class Program:
    """An image, and what it was made from when it was made here."""

    image: Image
    graph: TensorGraph | None = None
    """As the source says it, before any pass."""
    compiled: Compiled | None = None
    compile_seconds: float | None = None
    passes: tuple[PassStep, ...] = ()
    planned: Planned | None = None
    """What pruning left out, if the image was made here."""
    warnings: tuple[Diagnostic, ...] = ()

    def record(self, seed: int) -> GraphRecord | None:
        """What compilation did to the graph, if it was compiled here (with `seed`)."""
        if self.graph is None or self.compiled is None:
            return None
        return GraphRecord(self.graph, self.compiled.graph, self.passes, seed)


def open_program(arguments: Namespace, progress: Progress) -> Program:
    """Load the image `arguments.file`, or compile the source; raises E0531 for an option that no image can obey."""
    path = Path(arguments.file)
    if path.suffix != IMAGE_SUFFIX:
        return compile_source(arguments, progress)
    refuse_source_options(arguments)
    progress.stage(f"loading {path}")
    return Program(read_file(path))


def compile_source(arguments: Namespace, progress: Progress, observe: Observer | None = None) -> Program:
    """Compile `arguments.file` for the machine and with the sizes and the seed that the options name."""

    sizes: list[tuple[str, int]] = []

    def observed(stage: str, value: object) -> None:
        progress.stage(f"compiling {arguments.file}: {stage}")
        if isinstance(value, TensorGraph):
            sizes.append((stage, len(value.ops)))
        if observe is not None:
            observe(stage, value)

    machine = load_machine(arguments.machine or DEFAULT_MACHINE)
    progress.stage(f"compiling {arguments.file}")
    start = perf_counter()
    program = lowered(open_module(arguments.file, arguments), arguments.program, arguments)
    graph, prune = prune_options(program.graph, arguments)
    compiled = compile_graph(graph, machine, CompileOptions(seed=arguments.seed, prune=prune), observe=observed)
    seconds = perf_counter() - start
    warnings = program.warnings + compiled.notes
    passes = pass_steps(len(program.graph.ops), sizes)
    return Program(compiled.image, program.graph, compiled, seconds, passes, planned(compiled), warnings)


def show_warnings(program: Program, terminal: Terminal) -> None:
    """Show what is doubtful about the source."""
    if program.graph is not None:
        terminal.warnings(program.warnings, {source.name: source for source in program.graph.sources})


def refuse_source_options(arguments: Namespace) -> None:
    """Raise E0531 for an option that no image can obey."""
    names = ("set", "program", "machine", "path", "deny", "check", "prune", "assume_finite", "compare_unpruned")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name, None)]
    if given:
        raise bad_input(
            "E0531",
            f"`{given[0]}` needs the source of the program, but `{arguments.file}` is an image, already compiled",
            helps=[f"give the .mesh file in place of the image, or leave `{given[0]}` out"],
        )


def refuse_weights(arguments: Namespace) -> None:
    """Raise E0531 for weights of an image that is not run."""
    if arguments.weights is not None:
        raise bad_input(
            "E0531",
            f"`--weights` needs the source of the program, but `{arguments.file}` is already compiled",
            helps=["give the .mesh file in its place, or leave `--weights` out"],
        )
