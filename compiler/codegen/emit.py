"""Put the image together: place, route and allocate every epoch, then emit the programs of its cores."""

from collections.abc import Callable
from dataclasses import dataclass

from compiler.allocate.check import check as check_allocation
from compiler.allocate.problem import AllocateProblem, Arena, Buffer
from compiler.allocate.solve import solve as allocate
from compiler.codegen.bodies import KernelTable
from compiler.codegen.frame import Names, result_cb
from compiler.codegen.plan import EpochPlan, StagePlan, plan_epoch
from compiler.codegen.threads import core_program
from compiler.codegen.traffic import epoch_flows
from compiler.numerics import TileGrid
from compiler.numerics.masks import TileMask
from compiler.partition.bound import lower_bound
from compiler.partition.footprint import cb_sizes, keeps_result, l1_slots
from compiler.partition.nest import GatherBody, Workload
from compiler.partition.ragged import result_pages
from compiler.partition.stages import Stage, StageGraph
from compiler.place.check import check as check_placement
from compiler.place.problem import Block, PlaceProblem, core_at
from compiler.place.solve import PlaceOptions
from compiler.place.solve import solve as place
from compiler.program.image import (
    CbKind,
    CircularBuffer,
    CoreProgram,
    DramPlace,
    Epoch,
    Image,
    Origin,
    Role,
    ShardPlace,
    Tensor,
)
from compiler.program.pages import channel_bytes
from compiler.route.check import check as check_routes
from compiler.route.check import prove_deadlock_free
from compiler.route.problem import RouteSolution
from compiler.route.solve import solve as route
from compiler.target import Machine

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Memory:
    """Addresses: a DRAM base per storage (None if it never is in DRAM), an L1 address per epoch, stage and cb."""

    dram: tuple[int | None, ...]
    l1: tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The image's tensors, and their numbers by storage; shards by epoch and storage."""

    tensors: tuple[Tensor, ...]
    dram: dict[int, int]
    shards: tuple[dict[int, int], ...]


def emit(machine: Machine, graph: StageGraph, seed: int, progress: Progress = lambda verb: None) -> Image:
    """Return the image of a stage graph; every solution is checked on the way."""
    workload = graph.workload
    progress("place")
    cores = tuple(place_epoch(machine, workload, stages, seed) for stages in graph.epochs)
    progress("route")
    plans = tuple(
        plan_epoch(machine, workload, stages, where) for stages, where in zip(graph.epochs, cores, strict=True)
    )
    routes = tuple(_route(plan) for plan in plans)
    progress("allocate")
    memory = _allocate(machine, graph)
    tables = _tensors(machine, graph, plans, memory)
    progress("emit")
    kernels = KernelTable()
    index_maps = [n for n, nest in enumerate(workload.nests) if isinstance(nest.body, GatherBody)]
    maps = {nest: number for number, nest in enumerate(index_maps)}
    epochs = []
    for number, (plan, solution) in enumerate(zip(plans, routes, strict=True)):
        names = Names(tables.dram, tables.shards[number], maps, solution.nocs, plan.problem.core_sets)
        programs = [
            _program(machine, workload, names, stage, core, memory.l1[number][index], kernels)
            for index, stage in enumerate(plan.stages)
            for core in range(stage.stage.cores)
        ]
        programs.sort(key=lambda program: program.core)
        epochs.append(Epoch(tuple(programs), plan.problem.core_sets, solution.routes))
    bodies = (workload.nests[nest].body for nest in index_maps)
    return Image(
        name=workload.name,
        machine=machine,
        tensors=tables.tensors,
        index_maps=tuple(body.index_map for body in bodies if isinstance(body, GatherBody)),
        kernels=tuple(kernels.numbers),
        epochs=tuple(epochs),
        origins=_origins(workload),
        sources=workload.sources,
        bound=lower_bound(machine, workload),
    )


def place_epoch(
    machine: Machine, workload: Workload, stages: tuple[Stage, ...], seed: int
) -> tuple[tuple[int, ...], ...]:
    """Return the core number of every virtual core of every stage."""
    blocks = tuple(Block(workload.nests[stage.nest].name, *stage.grid, stage.corner) for stage in stages)
    flows = epoch_flows(workload, stages, len(machine.dram.channels))
    problem = PlaceProblem(machine, blocks, machine.dram.channels, flows)
    solution = place(problem, PlaceOptions(seed=seed))
    check_placement(problem, solution)
    return tuple(
        tuple(
            machine.core_number[core_at(machine, block, placement, core)] for core in range(block.rows * block.columns)
        )
        for block, placement in zip(blocks, solution.placements, strict=True)
    )


def _route(plan: EpochPlan) -> RouteSolution:
    solution = route(plan.problem)
    check_routes(plan.problem, solution)
    prove_deadlock_free(plan.problem.machine, solution.routes)
    return solution


def _allocate(machine: Machine, graph: StageGraph) -> _Memory:
    """Allocate DRAM over the epochs, and L1 per stage (its cores all use the same addresses)."""
    workload = graph.workload
    arenas = [Arena("DRAM channel", 0, machine.dram.channel_bytes, machine.dram_alignment)]
    buffers = []
    in_dram = []
    for storage, (start, end) in _dram_lifetimes(graph).items():
        in_dram.append(storage)
        buffers.append(
            Buffer(workload.storages[storage].name, 0, _channel_bytes(machine, workload, storage), start, end)
        )
    for number, stages in enumerate(graph.epochs):
        for stage in stages:
            name = workload.nests[stage.nest].name
            arenas.append(Arena(f"L1 of `{name}`", machine.l1_base, machine.l1_available, machine.l1_alignment))
            sizes = l1_slots(machine, workload, stage)
            buffers += [
                Buffer(f"{name}.{slot}", len(arenas) - 1, size, number, number) for slot, size in enumerate(sizes)
            ]
    problem = AllocateProblem(tuple(arenas), tuple(buffers))
    solution = allocate(problem)
    check_allocation(problem, solution)
    addresses = iter(solution.addresses)
    bases: list[int | None] = [None] * len(workload.storages)
    for storage in in_dram:
        bases[storage] = next(addresses)
    l1 = tuple(
        tuple(tuple(next(addresses) for _ in l1_slots(machine, workload, stage)) for stage in stages)
        for stages in graph.epochs
    )
    return _Memory(tuple(bases), l1)


def _dram_lifetimes(graph: StageGraph) -> dict[int, tuple[int, int]]:
    """First and last epoch of every storage that is in DRAM; a constant only if some stage reads it."""
    storages = graph.workload.storages
    last = len(graph.epochs) - 1
    kept = {n for n, storage in enumerate(storages) if storage.role is Role.STATE}
    read = {access.storage for nest in graph.workload.nests for access in nest.operands}
    unread = {n for n, storage in enumerate(storages) if storage.role is Role.CONSTANT} - read
    fed = (n for n, storage in enumerate(storages) if storage.producer < 0 and n not in unread)
    spans = {n: (0, last if n in kept else 0) for n in fed}
    for epoch, stages in enumerate(graph.epochs):
        for stage in stages:
            nest = graph.workload.nests[stage.nest]
            if stage.to_dram:
                spans[nest.out] = (epoch, last if storages[nest.out].role is Role.OUTPUT else epoch)
            for access, plan in zip(nest.operands, stage.operands, strict=True):
                if not plan.from_l1:
                    start, end = spans[access.storage]
                    spans[access.storage] = (start, max(end, epoch))
    return spans


def _channel_bytes(machine: Machine, workload: Workload, storage: int) -> int:
    """Bytes that a tensor takes on the fullest channel, with the flags of its pages if they are kept."""
    known = workload.storages[storage]
    return channel_bytes(machine, known.dtype, TileGrid(known.shape).pages, known.flagged)


_FED = (Role.INPUT, Role.WEIGHT, Role.STATE)


def _tensors(machine: Machine, graph: StageGraph, plans: tuple[EpochPlan, ...], memory: _Memory) -> _Tables:
    workload = graph.workload
    tensors: list[Tensor] = []
    dram: dict[int, int] = {}
    for number, (storage, base) in enumerate(zip(workload.storages, memory.dram, strict=True)):
        if base is not None:
            dram[number] = len(tensors)
            finite = storage.finite and storage.role in _FED
            known = (storage.name, storage.dtype, storage.shape, storage.role)
            tensors.append(Tensor(*known, DramPlace(base), storage.data, storage.live, finite, storage.flagged))
    shards = []
    for epoch, plan in enumerate(plans):
        numbers: dict[int, int] = {}
        for stage in plan.stages:
            if stage.stage.shard:
                numbers[workload.nests[stage.stage.nest].out] = len(tensors)
                tensors.append(_shards(workload, epoch, stage))
        shards.append(numbers)
    return _Tables(tuple(tensors), dram, tuple(shards))


def _shards(workload: Workload, epoch: int, plan: StagePlan) -> Tensor:
    """The result of a stage in the L1 of its cores."""
    stage = plan.stage
    nest = workload.nests[stage.nest]
    out = workload.storages[nest.out]
    made = (result_pages(workload, stage, core) for core in range(len(stage.deal)))
    pages = tuple(tuple(numbers.tolist()) for numbers in made)
    where = ShardPlace(epoch, stage.ways, plan.cores, result_cb(nest), plan.ready, pages)
    live = None if out.live is None else TileMask(TileGrid(nest.shape).dims, out.live.bits)
    return Tensor(f"{nest.name}.l1", out.dtype, nest.shape, Role.TEMPORARY, where, live=live)


def _origins(workload: Workload) -> tuple[Origin, ...]:
    """Two origins per nest: number `2 n` for what it combines, `2 n + 1` for how it finishes a result."""
    return tuple(Origin(nest.name, span) for nest in workload.nests for span in (nest.span, nest.finish_span))


def _program(
    machine: Machine,
    workload: Workload,
    names: Names,
    plan: StagePlan,
    core: int,
    addresses: tuple[int, ...],
    kernels: KernelTable,
) -> CoreProgram:
    buffers = _buffers(machine, workload, plan.stage, core, addresses)
    return core_program(machine, workload, names, plan, core, buffers, kernels)


def _buffers(
    machine: Machine, workload: Workload, stage: Stage, core: int, addresses: tuple[int, ...]
) -> tuple[CircularBuffer, ...]:
    """The circular buffers of a core; what is known to be finite is marked, and checked where it is only promised."""
    nest = workload.nests[stage.nest]
    out = result_cb(nest)
    kept = keeps_result(machine, workload, stage)
    buffers = []
    for slot, (size, address) in enumerate(zip(cb_sizes(machine, workload, stage, core), addresses, strict=False)):
        kind = CbKind.SHARD if slot == out and kept else CbKind.STREAM
        finite = checked = False
        if slot <= out:
            storage = workload.storages[nest.out if slot == out else nest.operands[slot].storage]
            finite = storage.finite
            checked = storage.promised and slot == out and nest.buffered_operands == len(nest.operands)
        buffers.append(CircularBuffer(address, size.capacity, size.dtype, kind, size.name, finite, checked))
    return tuple(buffers)
