"""The way from a tensor graph to an image."""

from collections.abc import Callable
from dataclasses import dataclass, field

from compiler.codegen.emit import emit
from compiler.diagnostics import Diagnostic
from compiler.ir.graph import TensorGraph
from compiler.partition.check import check as check_partition
from compiler.partition.solve import PartitionOptions
from compiler.partition.solve import solve as partition
from compiler.partition.stages import StageGraph
from compiler.partition.tiling import tile
from compiler.passes import run_pipeline
from compiler.program.check import check_image
from compiler.program.image import Image
from compiler.program.tokens import check_tokens
from compiler.prune import Mode, Pruned, PruneOptions, prune
from compiler.target import Machine

Observer = Callable[[str, object], None]
"""Called with the name of a pass or step and what it produced (None where a step only begins)."""


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """`seed` drives placement; equal graphs, machines and options give equal images. `check_passes` verifies the graph
    after every pass (the solvers' answers and the image are always checked)."""

    seed: int = 0
    check_passes: bool = False
    partition: PartitionOptions = field(default_factory=PartitionOptions)
    prune: PruneOptions = field(default_factory=lambda: PruneOptions(Mode.NONE))


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compilation decided: the graph after all passes, what of it is left out, the stages, and the image that
    runs."""

    graph: TensorGraph
    pruned: Pruned
    stage_graph: StageGraph
    image: Image

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """What the user should know: soft hints that were dropped."""
        return self.stage_graph.notes

    @property
    def bound(self) -> tuple[tuple[str, int], ...]:
        """Lower bound on the makespan per resource, in cycles."""
        return self.image.bound


def compile_graph(
    graph: TensorGraph,
    machine: Machine,
    options: CompileOptions | None = None,
    observe: Observer = lambda name, value: None,
) -> Compiled:
    """Compile `graph` for `machine`.

    Raises:
        DiagnosticError: if the program does not fit the machine.
        InternalError: if a check finds a solver's answer wrong, which is a bug of ours.
    """
    options = options or CompileOptions()
    optimized = run_pipeline(graph, check=options.check_passes, observe=observe)
    observe("partition", None)
    pruned = prune(machine, tile(optimized), options.prune)
    observe("prune", pruned)
    stage_graph = partition(machine, pruned.workload, options.partition)
    check_partition(machine, stage_graph)
    observe("stages", stage_graph)
    image = emit(machine, stage_graph, options.seed, lambda verb: observe(verb, None))
    observe("check", None)
    check_image(image)
    check_tokens(image)
    observe("image", image)
    return Compiled(optimized, pruned, stage_graph, image)
