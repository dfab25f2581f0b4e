"""Everything that a view shows, computed once from an image and, where there is one, a run of it."""

from dataclasses import dataclass

from compiler.program.image import Image
from emulator.profile import Profile
from emulator.recording import Recording
from runtime.report import RunReport, report
from runtime.view.graphs import GraphRecord, NodeView, nodes_of
from runtime.view.lines import LineView, lines_of
from runtime.view.routes import Link, link_table
from runtime.view.stages import StageView, TensorView, stages_of, tensors_of
from runtime.view.timeline import Timeline, timeline_of
from runtime.view.traffic import EpochTraffic, StreamName, traffic


@dataclass(frozen=True, slots=True)
class Run:
    """A run of an image: its profile, and the recording if one was made."""

    profile: Profile
    recording: Recording | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RunView:
    """What a run adds to the view of an image."""

    run: Run
    report: RunReport
    timeline: Timeline


@dataclass(frozen=True, slots=True, eq=False)
class GraphView:
    """The graph before and after all passes."""

    record: GraphRecord
    source: tuple[NodeView, ...]
    optimized: tuple[NodeView, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ViewModel:
    """An image, seen. `links` numbers the links of `EpochTraffic.link_flits`; stages, tensors and epochs are numbered
    by their place in these tuples."""

    image: Image
    links: tuple[Link, ...]
    traffic: tuple[EpochTraffic, ...]
    stages: tuple[StageView, ...]
    tensors: tuple[TensorView, ...]
    lines: tuple[LineView, ...]
    run: RunView | None
    graph: GraphView | None

    def epoch_stages(self, epoch: int) -> tuple[StageView, ...]:
        return tuple(stage for stage in self.stages if stage.epoch == epoch)

    def stage_of_stream(self, epoch: int, name: StreamName) -> int:
        """The stage whose cores a stream belongs to."""
        wanted = self.image.origins[name.stage].stage
        return next(stage.number for stage in self.stages if stage.epoch == epoch and stage.name == wanted)


def build(image: Image, run: Run | None = None, graph: GraphRecord | None = None) -> ViewModel:
    """Compute the view of `image`; `run` must be a run of this very image."""
    table = link_table(image)
    links, counted = table.links, traffic(image, table)
    stages = stages_of(image)
    return ViewModel(
        image=image,
        links=links,
        traffic=counted,
        stages=stages,
        tensors=tensors_of(image, stages),
        lines=lines_of(image, stages, counted, run.profile if run is not None else None),
        run=_run(image, links, run) if run is not None else None,
        graph=_graph(graph, stages) if graph is not None else None,
    )


def _run(image: Image, links: tuple[Link, ...], run: Run) -> RunView:
    return RunView(run, report(image, run.profile), timeline_of(image, links, run.profile, run.recording))


def _graph(record: GraphRecord, stages: tuple[StageView, ...]) -> GraphView:
    return GraphView(record, nodes_of(record.source, ()), nodes_of(record.optimized, stages))
