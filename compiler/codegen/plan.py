"""Resolve an epoch before any instruction is written: who talks to whom, through which semaphores, on which network."""

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.codegen.traffic import (
    Load,
    leader,
    members,
    operand_loads,
    reading_cores,
    stage_stores,
)
from compiler.partition.nest import Workload
from compiler.partition.stages import Sharing, Stage, multicast_semaphores
from compiler.program.image import CoreSet
from compiler.route.problem import RouteProblem, Stream, Transfer, TransferKind
from compiler.target import Coord, Machine

READ_NOC, WRITE_NOC = 0, 1
"""The networks of what the read and the write thread ask for unless the router finds better, as in tt-metal's
defaults; what a core sends on does not get in the way of what it reads meanwhile."""
SEMAPHORE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Share:
    """How a shared operand is passed on. `granted` and `arrived` are semaphores: members add to the leader's first one
    when they have room, the leader to the members' second one when the block is there. `leader_set[core]` and
    `member_set[core]` are core sets."""

    granted: int
    arrived: int
    leader_set: tuple[int, ...]
    member_set: tuple[int, ...]
    grant_stream: int
    data_stream: int


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage with everything its programs refer to. Streams are indices into the epoch's `RouteProblem.streams`.

    `cores[v]` is the machine's number of virtual core `v`. `shares` has None for operands that every core reads itself.
    `ready` is the first of the stage's announcement semaphores on reading cores; -1 if nobody reads its shards.
    """

    stage: Stage
    cores: tuple[int, ...]
    loads: tuple[int, ...]
    shares: tuple[Share | None, ...]
    store: int
    announce: int
    announce_set: int
    ready: int


@dataclass(frozen=True, slots=True)
class EpochPlan:
    stages: tuple[StagePlan, ...]
    problem: RouteProblem


class _Planner:
    def __init__(
        self, machine: Machine, workload: Workload, stages: tuple[Stage, ...], cores: tuple[tuple[int, ...], ...]
    ) -> None:
        self.machine = machine
        self.workload = workload
        self.stages = stages
        self.cores = cores
        self.producers = {stage.nest: (number, stage) for number, stage in enumerate(stages)}
        self.core_sets: dict[CoreSet, int] = {}
        self.streams: list[Stream] = []

    def run(self) -> EpochPlan:
        ready = multicast_semaphores(self.stages)
        plans = []
        for number, stage in enumerate(self.stages):
            plans.append(self.stage(number, stage, ready if stage.shard else -1))
            ready += stage.cores if stage.shard else 0
        problem = RouteProblem(self.machine, tuple(self.streams), tuple(self.core_sets))
        return EpochPlan(tuple(plans), problem)

    def stage(self, number: int, stage: Stage, ready: int) -> StagePlan:
        channels = len(self.machine.dram.channels)
        nest = self.workload.nests[stage.nest]
        by_operand = operand_loads(self.workload, stage, self.producers, channels)
        loads = tuple(self.load_stream(number, f"{nest.name}.{k}", load) for k, load in enumerate(by_operand))
        shared = [k for k, plan in enumerate(stage.operands) if plan.sharing is not Sharing.NONE]
        shares = tuple(
            self.share(number, stage, k, 2 * shared.index(k), by_operand[k]) if k in shared else None
            for k in range(len(by_operand))
        )
        store = -1
        if stage.to_dram:
            store = self.store_stream(number, nest.name, stage_stores(self.workload, stage, channels))
        announce, announce_set = self.announce(number, stage) if stage.shard else (-1, -1)
        return StagePlan(stage, self.cores[number], loads, shares, store, announce, announce_set, ready)

    def coord(self, stage: int, core: int) -> Coord:
        """The position of a virtual core, or of DRAM channel `core` if `stage` is -1."""
        if stage < 0:
            return self.machine.dram.channels[core]
        return self.machine.cores[self.cores[stage][core]]

    def stream(self, name: str, transfers: list[Transfer], noc: int) -> int:
        self.streams.append(Stream(name, tuple(transfers), noc))
        return len(self.streams) - 1

    def load_stream(self, number: int, name: str, loads: tuple[Load, ...]) -> int:
        return self.stream(f"load {name}", self.transfers(TransferKind.READ, number, loads), READ_NOC)

    def store_stream(self, number: int, name: str, stores: tuple[Load, ...]) -> int:
        return self.stream(f"store {name}", self.transfers(TransferKind.WRITE, number, stores), WRITE_NOC)

    def transfers(self, kind: TransferKind, number: int, loads: tuple[Load, ...]) -> list[Transfer]:
        return [
            Transfer(kind, self.coord(number, load.core), self.coord(load.stage, source), -1, nbytes)
            for load in loads
            for source, nbytes in zip(load.sources, load.nbytes, strict=True)
        ]

    def core_set(self, cores: Sequence[int], multicast: bool) -> int:
        """Return the number of a core set, which is added if it is new."""
        return self.core_sets.setdefault(CoreSet(tuple(sorted(cores)), multicast), len(self.core_sets))

    def share(self, number: int, stage: Stage, operand: int, semaphore: int, loads: tuple[Load, ...]) -> Share:
        sharing = stage.operands[operand].sharing
        physical = self.cores[number]
        name = f"{self.workload.nests[stage.nest].name}.{operand}"
        nbytes = {load.core: sum(load.nbytes) for load in loads}
        leader_sets, member_sets, grants, data = [], [], [], []
        for core in range(stage.cores):
            head = leader(stage, sharing, operand, core)
            group = [physical[member] for member in members(stage, sharing, core)]
            leader_sets.append(self.core_set([physical[head]], multicast=False))
            member_sets.append(self.core_set(group, multicast=True))
            here, there = self.coord(number, core), self.coord(number, head)
            if core == head:
                data.append(Transfer(TransferKind.MULTICAST, here, here, member_sets[-1], nbytes[core]))
            else:
                grants.append(Transfer(TransferKind.WRITE, here, there, -1, SEMAPHORE_BYTES))
        return Share(
            granted=semaphore,
            arrived=semaphore + 1,
            leader_set=tuple(leader_sets),
            member_set=tuple(member_sets),
            grant_stream=self.stream(f"grant {name}", grants, WRITE_NOC),
            data_stream=self.stream(f"share {name}", data, WRITE_NOC),
        )

    def announce(self, number: int, stage: Stage) -> tuple[int, int]:
        """Return the stream and the core set by which a stage tells its readers that pages are there."""
        out = self.workload.nests[stage.nest].out
        readers: set[int] = set()
        for other, user in enumerate(self.stages):
            for operand, access in enumerate(self.workload.nests[user.nest].operands):
                if access.storage == out and user.operands[operand].from_l1:
                    readers.update(self.cores[other][core] for core in reading_cores(user, operand))
        multicast = any(readers == set(cores) and len(cores) > 1 for cores in self.cores)
        target = self.core_set(tuple(readers), multicast)
        transfers = []
        for core in range(stage.cores):
            here = self.coord(number, core)
            if multicast:
                transfers.append(Transfer(TransferKind.MULTICAST, here, here, target, SEMAPHORE_BYTES))
            else:
                far = (self.machine.cores[reader] for reader in sorted(readers))
                transfers += [Transfer(TransferKind.WRITE, here, there, -1, SEMAPHORE_BYTES) for there in far]
        return self.stream(f"announce {self.workload.nests[stage.nest].name}", transfers, WRITE_NOC), target


def plan_epoch(
    machine: Machine, workload: Workload, stages: tuple[Stage, ...], cores: tuple[tuple[int, ...], ...]
) -> EpochPlan:
    """Return the plan of an epoch whose stage `s` has virtual core `v` on core number `cores[s][v]`."""
    return _Planner(machine, workload, stages, cores).run()
