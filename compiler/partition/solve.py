"""Choose epochs and core grids.

Stages keep the order of the nests; an epoch is a run of consecutive ones. The best cut into epochs is found exactly, by
dynamic programming over the cuts, for the estimated cycles of an epoch. Inside an epoch the cores are shared out so
that the slowest stage is as fast as possible: a binary search over the time that every stage must keep, each taking the
fewest cores that do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NoReturn

from compiler.diagnostics import Diagnostic, DiagnosticError, Label
from compiler.numerics.layout import page_bytes
from compiler.partition.context import Candidate, Context
from compiler.partition.footprint import times_loaded
from compiler.partition.hinting import Disobeyed
from compiler.partition.mapping import candidates, smallest_l1
from compiler.partition.nest import Workload
from compiler.partition.stages import Stage, StageGraph, semaphores
from compiler.place.problem import Block
from compiler.place.solve import fits
from compiler.program.image import Role
from compiler.target import Machine

LONGEST_EPOCH = 12
"""Most stages of one epoch that are considered; more never paid on the programs measured."""


@dataclass(frozen=True, slots=True)
class PartitionOptions:
    """`longest_epoch` is the most stages of one epoch that are considered."""

    longest_epoch: int = LONGEST_EPOCH


@dataclass(frozen=True, slots=True)
class _Cut:
    """Epochs that cover the nests up to some point, and their estimated cycles."""

    cycles: int
    epochs: tuple[tuple[Stage, ...], ...]


@dataclass(frozen=True, slots=True)
class _Epoch:
    stages: tuple[Stage, ...]
    cycles: int


def solve(machine: Machine, workload: Workload, options: PartitionOptions | None = None) -> StageGraph:
    """Return the mapping with the fewest estimated cycles.

    A soft hint that cannot be obeyed is dropped and noted.

    Raises:
        DiagnosticError: E0412, if some nest fits the L1 of no core grid; E0413, if a hint cannot be obeyed.
    """
    notes: list[Diagnostic] = []
    while True:
        try:
            return replace(_Solver(machine, workload, options or PartitionOptions()).run(), notes=tuple(notes))
        except Disobeyed as refusal:
            if not refusal.hint.soft:
                sources = {source.name: source for source in workload.sources}
                raise DiagnosticError((refusal.diagnostic(),), sources) from refusal
            notes.append(refusal.diagnostic())
            kept = (replace(nest, hint=None if nest.hint == refusal.hint else nest.hint) for nest in workload.nests)
            workload = replace(workload, nests=tuple(kept))


class _Solver:
    def __init__(self, machine: Machine, workload: Workload, options: PartitionOptions) -> None:
        self.machine = machine
        self.workload = workload
        self.options = options
        self.known: dict[tuple[int, Context], tuple[Candidate, ...]] = {}
        self.packable: dict[tuple[Block, ...], bool] = {}
        self.readers = _readers(workload)

    def run(self) -> StageGraph:
        """Find the best cut for every end, per number of epochs before it where a hint names an epoch."""
        count = len(self.workload.nests)
        numbered = any(nest.hint is not None and nest.hint.epoch is not None for nest in self.workload.nests)
        best: list[dict[int, _Cut]] = [{0: _Cut(0, ())}] + [{} for _ in range(count)]
        for end in range(1, count + 1):
            for start in range(end - 1, max(-1, end - 1 - self.options.longest_epoch), -1):
                if not self.may_join(start, end):
                    break
                befores = [(n, cut) for n, cut in best[start].items() if not numbered or self.may_be(start, end, n)]
                epoch = self.epoch(start, end) if befores else None
                if epoch is None:
                    continue
                for number, before in befores:
                    cut = _Cut(before.cycles + epoch.cycles, (*before.epochs, epoch.stages))
                    key = number + 1 if numbered else 0
                    if key not in best[end] or cut.cycles < best[end][key].cycles:
                        best[end][key] = cut
            if not best[end]:
                self.refuse(end)
        return StageGraph(self.workload, min(best[count].values(), key=lambda cut: cut.cycles).epochs)

    def may_be(self, start: int, end: int, number: int) -> bool:
        """Whether the hints of nests `start` to `end` let them be epoch `number`."""
        hints = (nest.hint for nest in self.workload.nests[start:end])
        return all(hint is None or hint.epoch in (None, number) for hint in hints)

    def may_join(self, start: int, end: int) -> bool:
        """Whether nest `start` may be in one epoch with those up to `end`: elements are picked only in DRAM."""
        return not any(
            start <= self.workload.storages[access.storage].producer < end
            for nest in self.workload.nests[start:end]
            for access in nest.operands[nest.buffered_operands :]
        )

    def context(self, nest: int, start: int, end: int) -> Context:
        """What it means for `nest` that the epoch holds nests `start` to `end`."""
        storages = self.workload.storages
        out = self.workload.nests[nest].out
        users = self.readers[out]
        return Context(
            from_l1=tuple(start <= storages[a.storage].producer for a in self.workload.nests[nest].operands),
            to_dram=storages[out].role is Role.OUTPUT or any(user >= end for user in users),
            shard=any(user < end for user in users),
        )

    def candidates(self, nest: int, context: Context) -> tuple[Candidate, ...]:
        key = (nest, context)
        if key not in self.known:
            self.known[key] = candidates(self.machine, self.workload, nest, context)
        return self.known[key]

    def epoch(self, start: int, end: int) -> _Epoch | None:
        """Return the best epoch of nests `start` to `end`, None if they do not fit together."""
        choices = [self.candidates(nest, self.context(nest, start, end)) for nest in range(start, end)]
        if not all(choices):
            return None
        times = sorted({candidate.estimate.total for choice in choices for candidate in choice})
        low, high, best = 0, len(times), None
        while low < high:
            middle = (low + high) // 2
            picked = self.pick(choices, times[middle])
            if picked is None:
                low = middle + 1
            else:
                best, high = picked, middle
        if best is None:
            return None
        best = self.widen(choices, best, start)
        return _Epoch(tuple(c.stage for c in best), self.cycles(best, start))

    def widen(self, choices: Sequence[tuple[Candidate, ...]], picked: list[Candidate], start: int) -> list[Candidate]:
        """Give spare cores, one stage at a time, to whichever stage shortens the epoch most."""
        cycles = self.cycles(picked, start)
        while True:
            tried = []
            for number, choice in enumerate(choices):
                for wider in choice[choice.index(picked[number]) + 1 :]:
                    changed = [*picked[:number], wider, *picked[number + 1 :]]
                    after = self.cycles(changed, start)
                    if after < cycles:
                        tried.append((after, number, changed))
            tried.sort(key=lambda entry: entry[:2])
            better = next((entry for entry in tried if self.resident(entry[2])), None)
            if better is None:
                return picked
            cycles, _, picked = better

    def resident(self, picked: Sequence[Candidate]) -> bool:
        """Whether the stages can be on the mesh together."""
        stages = [candidate.stage for candidate in picked]
        if sum(stage.cores for stage in stages) > len(self.machine.cores):
            return False
        if semaphores(stages) > self.machine.semaphores:
            return False
        wanted = sorted(((stage.grid, stage.corner) for stage in stages), key=repr)
        blocks = tuple(Block("", *grid, corner) for grid, corner in wanted)
        if blocks not in self.packable:
            self.packable[blocks] = fits(self.machine, blocks)
        return self.packable[blocks]

    def pick(self, choices: Sequence[tuple[Candidate, ...]], cycles: int) -> list[Candidate] | None:
        """Return the smallest candidates that keep within `cycles`, None if there are none or they do not fit the
        mesh."""
        picked = []
        for choice in choices:
            within = next((c for c in choice if c.estimate.total <= cycles), None)
            if within is None:
                return None
            picked.append(within)
        return picked if self.resident(picked) else None

    def cycles(self, picked: Sequence[Candidate], start: int) -> int:
        """Estimate an epoch: stages start when their producers have handed over enough, and end after them."""
        begins: list[int] = []
        ends: list[int] = []
        storages = self.workload.storages
        for candidate in picked:
            stage, cost = candidate.stage, candidate.estimate
            begin = end = 0
            for number, access in enumerate(self.workload.nests[stage.nest].operands):
                if stage.operands[number].from_l1:
                    producer = storages[access.storage].producer - start
                    # The cores of ragged stages take blocks in other orders than those they are made in.
                    streams = times_loaded(self.workload, stage, number) > 1 and not stage.deal
                    handed = self.handed(begins[producer], picked[producer], candidate) if streams else ends[producer]
                    begin, end = max(begin, handed), max(end, ends[producer] + cost.first)
            begins.append(begin)
            ends.append(max(end, begin + cost.total))
        rate = len(self.machine.dram.channels) * self.machine.dram.bytes_per_cycle
        dram = ceil(sum(candidate.estimate.dram_bytes for candidate in picked) / rate)
        return self.machine.core.launch + max(*ends, dram)

    @staticmethod
    def handed(begin: int, producer: Candidate, consumer: Candidate) -> int:
        """When the last core of `consumer` has its first block: a producer's core with more rows works through those of
        other consumers first."""
        before = 1 - min(1.0, producer.stage.cores / consumer.stage.cores)
        cost = producer.estimate
        return begin + cost.first + ceil(before * (cost.total - cost.first))

    def refuse(self, end: int) -> NoReturn:
        """Say why nest `end - 1` cannot be the last of any epoch: too little L1, or a hint."""
        nest_index = end - 1
        alone = self.context(nest_index, nest_index, end)
        if self.candidates(nest_index, alone):
            hint = next(nest.hint for nest in reversed(self.workload.nests[:end]) if nest.hint is not None)
            reason = f"no division into epochs up to `{self.workload.nests[nest_index].name}` agrees with all hints"
            raise Disobeyed(hint, reason, "later statements cannot be in earlier epochs; leave one of the hints out")
        nest = self.workload.nests[nest_index]
        needed = smallest_l1(self.machine, self.workload, nest_index, alone)
        short = (
            f"`{nest.name}` needs at least {needed} bytes of L1 on a core, but a core of `{self.machine.name}` has "
            f"{self.machine.l1_available} bytes to give"
        )
        if nest.hint is not None:
            raise Disobeyed(nest.hint, short, "ask for more cores, or leave out `resident`")
        tile_bytes = page_bytes(self.workload.storages[nest.out].dtype)
        diagnostic = Diagnostic(
            "E0412",
            short,
            (Label(nest.span, "computed here"),) if nest.span else (),
            (f"the smallest block is one tile per operand; a tile of the result takes {tile_bytes} bytes",),
            ("use a machine with more L1 per core, or an expression with fewer operands",),
        )
        raise DiagnosticError((diagnostic,), {source.name: source for source in self.workload.sources})


def _readers(workload: Workload) -> tuple[tuple[int, ...], ...]:
    """Per storage, the nests that read it."""
    readers: list[list[int]] = [[] for _ in workload.storages]
    for index, nest in enumerate(workload.nests):
        for access in nest.operands:
            readers[access.storage].append(index)
    return tuple(tuple(users) for users in readers)
