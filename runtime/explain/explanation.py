"""Why a run took as long as it did, in sentences; and what would help."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compiler.program.image import Image
from emulator.profile import Profile
from emulator.recording import Recording
from runtime.explain.critical import Piece, Segment, critical_path
from runtime.explain.suggest import Evidence, Suggestion, suggestions
from runtime.explain.walk import SHOWN, Share, longest_epoch, shares
from runtime.view.stages import StageView


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk; `stage` is -1 where it is about none."""

    text: str
    stage: int


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """`sentence` names the bottleneck and the advice; the walk leads from the end of the longest epoch to it."""

    sentence: str
    epoch: int
    path: tuple[Segment, ...]
    walk: tuple[Step, ...]
    suggestions: tuple[Suggestion, ...]


def explain(image: Image, profile: Profile, recording: Recording, stages: tuple[StageView, ...]) -> Explanation:
    """Explain a recorded run of `image`, whose stages are `stages`."""
    path = critical_path(image, profile, recording)
    epoch = longest_epoch(path)
    everything = shares(path, stages)
    found = suggestions(Evidence(image, profile, recording, stages, everything))
    names = _Names(image, stages)
    length = max(sum(segment.cycles for segment in path), 1)
    inside = tuple(segment for segment in path if segment.epoch == epoch)
    walk = tuple(_walk(names, profile, epoch, shares(inside, stages)))
    return Explanation(_sentence(names, everything, length, found), epoch, path, walk, found)


@dataclass(frozen=True, slots=True)
class _Names:
    image: Image
    stages: Sequence[StageView]

    def stage(self, number: int) -> str:
        stage = self.stages[number]
        return f"{stage.letter} {stage.name}" + (f" ({_place(stage)})" if stage.spans else "")

    def way(self, piece: Piece, tensor: int) -> str:
        """What a thread waited for while a packet was on its way."""
        if tensor < 0:
            return "signals and acknowledgements"
        name = self.image.tensors[tensor].name
        return f"DRAM, for `{name}`" if piece is Piece.DRAM else f"`{name}` from the L1 of other cores"


def _place(stage: StageView) -> str:
    return f"{stage.spans[0].source}:{stage.spans[0].line}"


def _percent(cycles: int, length: int) -> str:
    return f"{cycles / length:.0%}"


def _sentence(names: _Names, every: Sequence[Share], length: int, found: Sequence[Suggestion]) -> str:
    """The greatest kind of cycles on the path, and the first suggestion."""
    totals: defaultdict[str, int] = defaultdict(int)
    for share in every:
        totals[f"the work of stage {names.stage(share.stage)}"] += share.work
        for piece, tensor, cycles in share.waits:
            totals[f"waiting for {names.way(piece, tensor)}"] += cycles
    if not totals:
        return "Nothing ran."
    what = max(totals, key=lambda text: (totals[text], text))
    advice = f" What would help most: {found[0].title[0].lower()}{found[0].title[1:]}." if found else ""
    return f"{_percent(totals[what], length)} of the critical path is {what}.{advice}"


def _walk(names: _Names, profile: Profile, epoch: int, path: Sequence[Share]) -> Iterator[Step]:
    length = max(profile.epochs[epoch].cycles, 1)
    if len(profile.epochs) > 1:
        share = _percent(length, max(profile.makespan, 1))
        yield Step(f"Epoch {epoch} takes most of the run: {length} of {profile.makespan} cycles, {share}.", -1)
    kept = sorted(sorted(range(len(path)), key=lambda i: (-path[i].cycles, i))[:SHOWN])
    for index in kept:
        each = path[index]
        verb = "The epoch ends with" if index == 0 else "which waits for"
        parts = [f"{each.work} cycles at work"] if each.work else []
        parts += [f"{cycles} waiting for {names.way(piece, tensor)}" for piece, tensor, cycles in each.waits[:2]]
        share = _percent(each.cycles, length)
        yield Step(f"{verb} stage {names.stage(each.stage)}: {', '.join(parts)}; {share} of the epoch", each.stage)
    if path:
        yield Step(_end(names, max(path, key=lambda each: each.cycles)), -1)


def _end(names: _Names, share: Share) -> str:
    """Where the walk ends: at what waits for nobody."""
    work, first = share.work, share.waits[0] if share.waits else None
    if first is None or work >= first[2]:
        return f"There it ends: stage {names.stage(share.stage)} is at work and waits for nobody."
    return f"There it ends: {names.way(first[0], first[1])} is asked for without a pause and waits for nobody."
