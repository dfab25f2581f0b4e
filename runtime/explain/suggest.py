"""What would make a run shorter, by how much as the replay has it, and how to do it.

A change is a value that can be applied: `recompile` compiles the program anew with it, so that a prediction can be
checked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

from compiler.ir import TensorGraph
from compiler.ir.graph import Input, Map, Operation, Weight
from compiler.ir.hints import Hint, print_hint
from compiler.numerics import DType, ExprBuilder, ScalarOp, TileGrid
from compiler.pipeline import CompileOptions, compile_graph
from compiler.program.image import DramPlace, Image
from compiler.target import Machine
from emulator.profile import Profile
from emulator.recording import Recording
from runtime.explain.replay import Scales, saved_cycles
from runtime.explain.walk import Share
from runtime.view.stages import StageView

COUNT = 3
LOOKS = 3
"""Stages that are looked at for each kind of suggestion: a replay takes a while."""
BUFFERS = 4
LEAST = 0.01
"""Gains below this share of the makespan are not worth a suggestion."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Add a hint to a statement."""

    hint: Hint


@dataclass(frozen=True, slots=True)
class Narrow:
    """Hold inputs and weights in bf16; they are widened where they are used."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FasterDram:
    """A machine whose DRAM channels deliver `factor` times as much."""

    factor: int


@dataclass(frozen=True, slots=True)
class FasterMath:
    """A machine whose compute threads are `factor` times as fast: unpack, math and pack."""

    factor: int


@dataclass(frozen=True, slots=True)
class WiderLinks:
    """A machine whose flits have `factor` times as many bytes."""

    factor: int


Change: TypeAlias = Ask | Narrow | FasterDram | FasterMath | WiderLinks


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`saved` is how many cycles the change is predicted to save; `stage` is the one it is about, -1 for none."""

    change: Change
    title: str
    detail: str
    saved: int
    stage: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What suggestions are drawn from."""

    image: Image
    profile: Profile
    recording: Recording
    stages: tuple[StageView, ...]
    shares: tuple[Share, ...]

    def worth_a_look(self, cycles: Callable[[Share], int]) -> list[Share]:
        """The stages that have most cycles of a kind on the path, if these are worth a suggestion."""
        least = LEAST * max(self.profile.makespan, 1)
        ranked = sorted(self.shares, key=lambda share: (-cycles(share), share.stage))
        return [share for share in ranked if cycles(share) >= least][:LOOKS]

    def saved(self, scales: Scales) -> int:
        return saved_cycles(self.image, self.profile, self.recording, scales)


def suggestions(evidence: Evidence) -> tuple[Suggestion, ...]:
    """Return at most `COUNT` suggestions: first what can be changed in the program, then what another machine would
    do; in both the greatest predicted gain first."""
    least = LEAST * max(evidence.profile.makespan, 1)
    found: list[Suggestion] = []
    for group in ([*_more_cores(evidence), *_more_room(evidence), *_narrower(evidence)], [*_machine(evidence)]):
        found += sorted((e for e in group if e.saved >= least), key=lambda each: (-each.saved, each.title, each.detail))
    return tuple(found[:COUNT])


def _more_cores(evidence: Evidence) -> Iterator[Suggestion]:
    """Stages at work on the path that could be spread over more cores."""
    for share in evidence.worth_a_look(lambda share: share.work):
        stage = evidence.stages[share.stage]
        grid = _wider_grid(evidence, stage)
        if grid is None or not _has_own_statement(evidence, stage):
            continue
        factor = len(stage.cores) / (grid[0] * grid[1])
        saved = evidence.saved(Scales(work={(stage.epoch, core): factor for core in stage.cores}))
        hint = Hint(stage.spans[0], cores=grid)
        detail = f"`{print_hint(hint)}` at {stage.spans[0]}: it has {len(stage.cores)} now"
        yield Suggestion(Ask(hint), f"Give stage {stage.letter} {stage.name} more cores", detail, saved, stage.number)


def _has_own_statement(evidence: Evidence, stage: StageView) -> bool:
    """Whether a hint at the stage's place concerns no other stage."""
    if not stage.spans:
        return False
    hint = Hint(stage.spans[0])
    return not any(hint.covers(span) for other in evidence.stages if other is not stage for span in other.spans)


def _wider_grid(evidence: Evidence, stage: StageView) -> tuple[int, int] | None:
    """Twice the rows or the columns of a stage's core grid, if the epoch has the cores and the result the tiles."""
    machine = evidence.image.machine
    used = sum(len(each.cores) for each in evidence.stages if each.epoch == stage.epoch)
    if used + len(stage.cores) > len(machine.cores) or not stage.writes:
        return None
    coords = [machine.cores[core] for core in stage.cores]
    columns, rows = len({coord.x for coord in coords}), len({coord.y for coord in coords})
    *outer, across = TileGrid(evidence.image.tensors[stage.writes[0]].shape).dims
    for grid in ((2 * rows, columns), (rows, 2 * columns)):
        on_machine = grid[0] <= len(machine.core_rows) and grid[1] <= len(machine.core_columns)
        if on_machine and _splits(prod(outer), grid[0]) and _splits(across, grid[1]):
            return grid
    return None


def _splits(extent: int, ways: int) -> bool:
    """Whether so many blocks of equal length are none of them empty."""
    return -(-extent // ways) * (ways - 1) < extent


def _more_room(evidence: Evidence) -> Iterator[Suggestion]:
    """Stages on the path whose loads wait for room in a buffer."""
    for share in evidence.worth_a_look(lambda share: share.cycles - share.work):
        stage = evidence.stages[share.stage]
        if 2 * stage.l1_bytes > evidence.image.machine.l1_available or not _has_own_statement(evidence, stage):
            continue
        saved = evidence.saved(Scales(roomy=frozenset((stage.epoch, core) for core in stage.cores)))
        hint = Hint(stage.spans[0], buffers=BUFFERS)
        detail = f"`{print_hint(hint)}` at {stage.spans[0]}: its loads wait for room in their buffers"
        title = f"Give stage {stage.letter} {stage.name} deeper buffers"
        yield Suggestion(Ask(hint), title, detail, saved, stage.number)


def _narrower(evidence: Evidence) -> Iterator[Suggestion]:
    """Inputs and weights of 32 bits whose DRAM reads are on the path."""
    tensors = evidence.image.tensors
    on_path = {tensor for share in evidence.shares for _, tensor, _ in share.waits if tensor >= 0}
    wide = [
        number
        for number, tensor in enumerate(tensors)
        if tensor.dtype is DType.F32 and tensor.role.value in ("input", "weight") and number in on_path
    ]
    if wide:
        names = tuple(tensors[number].name for number in wide)
        listed = ", ".join(f"`{name}`" for name in names)
        saved = evidence.saved(Scales(size=dict.fromkeys(wide, 0.5)))
        detail = f"declare {listed} as bf16: half of the bytes (and less precision)"
        yield Suggestion(Narrow(names), "Read narrower types", detail, saved)


def _machine(evidence: Evidence) -> Iterator[Suggestion]:
    """What another machine would do: how much of the time is its DRAM's, how much its compute threads'."""
    image = evidence.image
    in_dram = [number for number, tensor in enumerate(image.tensors) if isinstance(tensor.place, DramPlace)]
    # The channel's link to the mesh is the next limit.
    factor = max(0.5, image.machine.dram.bytes_per_cycle / image.machine.noc.flit_bytes)
    saved = evidence.saved(Scales(dram=dict.fromkeys(in_dram, factor)))
    detail = "of another machine; on this one, move fewer bytes or reuse them more"
    yield Suggestion(FasterDram(2), "Twice the DRAM bandwidth", detail, saved)
    cores = {(stage.epoch, core): 0.5 for stage in evidence.stages for core in stage.cores}
    detail = "of another machine; on this one, multicast what several cores read, and place them closer"
    yield Suggestion(WiderLinks(2), "Links twice as wide", detail, evidence.saved(Scales(network=0.5)))
    detail = "of another machine; on this one, spread the work over more cores"
    yield Suggestion(FasterMath(2), "Compute threads twice as fast", detail, evidence.saved(Scales(work=cores)))


def recompile(change: Change, graph: TensorGraph, machine: Machine, seed: int = 0) -> Image:
    """Compile `graph` for `machine` with a change; raises what `compile_graph` raises, if it cannot be had."""
    match change:
        case Ask(hint):
            graph = replace(graph, hints=(*graph.hints, hint))
        case Narrow(names):
            graph = narrowed(graph, names)
    return compile_graph(graph, changed_machine(change, machine), CompileOptions(seed=seed)).image


def changed_machine(change: Change, machine: Machine) -> Machine:
    """The machine that a change is about; the same one if it is about the program."""
    match change:
        case FasterDram(factor):
            return replace(machine, dram=replace(machine.dram, bytes_per_cycle=machine.dram.bytes_per_cycle * factor))
        case WiderLinks(factor):
            return replace(machine, noc=replace(machine.noc, flit_bytes=machine.noc.flit_bytes * factor))
        case FasterMath(factor):
            return _with_faster_math(machine, factor)
        case _:
            return machine


def _with_faster_math(machine: Machine, factor: int) -> Machine:
    compute = machine.compute
    return replace(
        machine,
        compute=replace(
            compute,
            matmul={dtype: max(1, cycles // factor) for dtype, cycles in compute.matmul.items()},
            vector={op: max(1, cycles // factor) for op, cycles in compute.vector.items()},
            vector_load_store=max(1, compute.vector_load_store // factor),
            reduce=max(1, compute.reduce // factor),
            unpack_bytes=compute.unpack_bytes * factor,
            pack_bytes=compute.pack_bytes * factor,
            pack_accumulate_bytes=compute.pack_accumulate_bytes * factor,
            instruction=max(1, compute.instruction // factor),
        ),
    )


def narrowed(graph: TensorGraph, names: Sequence[str]) -> TensorGraph:
    """Return `graph` with some inputs and weights in bf16, each followed by a cast to what it was."""
    ops: list[Operation] = []
    moved: list[int] = []
    for op in graph.ops:
        inputs = tuple(moved[value] for value in op.inputs)
        ops.append(replace(op, id=len(ops), inputs=inputs))
        if isinstance(op.kind, Input | Weight) and op.kind.name in names:
            narrow = replace(op.type, dtype=DType.BF16)
            ops[-1] = replace(ops[-1], type=narrow)
            builder = ExprBuilder()
            expr = builder.build(builder.op(ScalarOp.CAST, op.type.dtype, builder.arg(0, DType.BF16)))
            ops.append(Operation(len(ops), Map(expr), (len(ops) - 1,), op.type, op.span))
        moved.append(len(ops) - 1)
    outputs = tuple((name, moved[value]) for name, value in graph.outputs)
    return replace(graph, ops=tuple(ops), outputs=outputs)
