"""A run in figures: how long, how far from the bound, what held it up, and which line of the source that was."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compiler.diagnostics import Span
from compiler.program.image import Image
from emulator.profile import REASONS, THREAD_NAMES, Profile

_NOT_STALLS = ("busy", "idle")


@dataclass(frozen=True, slots=True)
class Stall:
    """Cycles that threads of one kind were blocked for one reason: the mean over the cores with a program."""

    thread: str
    reason: str
    cycles: int
    share: float
    """Of the makespan."""


@dataclass(frozen=True, slots=True)
class Line:
    """Cycles of all cores spent on what one line of the source asked for: of math, of threads at work and waiting."""

    place: str
    text: str
    math: int
    busy: int
    stalled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything is summed over epochs. Shares are of the makespan, in 0 .. 1."""

    makespan: int
    """Cycles."""
    microseconds: float
    """At the machine's clock."""
    bound: int
    """Cycles below which no schedule on this machine can come; `bound_resource` is the resource that sets it."""
    bound_resource: str
    ratio: float
    """Makespan over bound."""
    bottleneck: str
    bottleneck_share: float
    resources: tuple[tuple[str, float], ...]
    """Busy share of the busiest resource of each kind, greatest first."""
    utilization: float
    """Busy share of the math units, mean over all cores of the machine."""
    cores: int
    stalls: tuple[Stall, ...]
    """Greatest first."""
    lines: tuple[Line, ...]
    """Greatest first."""
    dram_read_bytes: int
    dram_written_bytes: int
    noc_bytes: int
    """Bytes times links crossed."""
    events: int


def report(image: Image, profile: Profile) -> RunReport:
    """Sum up what `profile` says about a run of `image`."""
    makespan = max(profile.makespan, 1)
    resources = tuple(sorted(_resources(image, profile, makespan), key=lambda item: -item[1]))
    bound_resource, bound = max(image.bound, key=lambda item: item[1], default=("nothing", 0))
    epochs = profile.epochs
    return RunReport(
        makespan=profile.makespan,
        microseconds=profile.makespan / profile.clock_ghz / 1000,
        bound=bound,
        bound_resource=bound_resource,
        ratio=profile.makespan / max(bound, 1),
        bottleneck=resources[0][0],
        bottleneck_share=resources[0][1],
        resources=resources,
        utilization=sum(pipe.math for epoch in epochs for pipe in epoch.pipes) / makespan / len(image.machine.cores),
        cores=len(image.machine.cores),
        stalls=_stalls(profile, makespan),
        lines=_lines(image, profile),
        dram_read_bytes=sum(channel.read_bytes for epoch in epochs for channel in epoch.channels),
        dram_written_bytes=sum(channel.written_bytes for epoch in epochs for channel in epoch.channels),
        noc_bytes=sum(link.flits for epoch in epochs for link in epoch.links) * image.machine.noc.flit_bytes,
        events=profile.events,
    )


def _resources(image: Image, profile: Profile, makespan: int) -> Iterator[tuple[str, float]]:
    """The busy share of the busiest resource of each kind. A link carries a flit per cycle."""
    epochs = profile.epochs
    for part in ("unpack", "math", "pack"):
        busy = _most((pipe.core, getattr(pipe, part)) for epoch in epochs for pipe in epoch.pipes)
        yield f"{part} of a core", busy / makespan
    for name in THREAD_NAMES:
        threads = (thread for epoch in epochs for thread in epoch.threads if thread.thread == name)
        yield f"`{name}` thread of a core", _most((each.core, each.cycles[0]) for each in threads) / makespan
    links = ((link.noc, link.src, link.dst, link.flits) for epoch in epochs for link in epoch.links)
    yield "NoC link", _most(((noc, src, dst), flits) for noc, src, dst, flits in links) / makespan
    channels = (channel for epoch in epochs for channel in epoch.channels)
    moved = _most((channel.channel, channel.read_bytes + channel.written_bytes) for channel in channels)
    yield "DRAM channel", moved / image.machine.dram.bytes_per_cycle / makespan


def _most(amounts: Iterable[tuple[object, int]]) -> int:
    """Return the greatest sum over all amounts of one key."""
    totals: defaultdict[object, int] = defaultdict(int)
    for key, amount in amounts:
        totals[key] += amount
    return max(totals.values(), default=0)


def _stalls(profile: Profile, makespan: int) -> tuple[Stall, ...]:
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    cores = {thread.core for epoch in profile.epochs for thread in epoch.threads}
    for epoch in profile.epochs:
        for thread in epoch.threads:
            for reason, cycles in zip(REASONS, thread.cycles, strict=True):
                totals[thread.thread, reason] += cycles
    means = {key: total // len(cores) for key, total in totals.items() if key[1] not in _NOT_STALLS and total}
    ranked = sorted(means.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Stall(thread, reason, cycles, cycles / makespan) for (thread, reason), cycles in ranked if cycles)


def _lines(image: Image, profile: Profile) -> tuple[Line, ...]:
    totals: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for epoch in profile.epochs:
        for entry in epoch.origins:
            origin = profile.origins[entry.origin]
            place = _place(image, origin.span) if origin.span else (f"stage {origin.stage}", "")
            totals[place] = [a + b for a, b in zip(totals[place], (entry.math, entry.busy, entry.stalled), strict=True)]
    ranked = sorted(totals, key=lambda place: (-sum(totals[place]), place))
    return tuple(Line(place, text, *totals[place, text]) for place, text in ranked)


def _place(image: Image, span: Span) -> tuple[str, str]:
    """`file:line` and the text of that line, if the image carries the file."""
    texts = {source.name: source.text.split("\n") for source in image.sources}
    lines = texts.get(span.source, [])
    text = lines[span.line - 1] if 1 <= span.line <= len(lines) else ""
    return f"{span.source}:{span.line}", text
