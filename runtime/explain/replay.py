"""How long a run would have taken, had some of its parts been faster.

Every recorded stall ended because of an earlier event, so the recording is a graph of who waited for whom, in an order
in which causes come first. The replay goes through it once with the durations changed: a thread's own work is scaled,
and so is the way of a packet beyond its fixed latency. With no change it gives the recorded times. Waits that were over
before anybody looked were not recorded and cannot come back: a replay of faster parts is a lower bound on the time,
apart from what the same program does differently when it is compiled anew.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from compiler.program.image import DramPlace, Image
from emulator.profile import REASONS, THREAD_NAMES, EpochProfile, Profile
from emulator.recording import EpochRecording, Recording


@dataclass(frozen=True, slots=True)
class Scales:
    """Factors on durations; 1 where nothing is said. `work` is by epoch and core (compute threads only), `dram` by
    tensor number for the time that channels are busy, `size` by tensor for all of the way of its packets, `network`
    for all other ways. In `roomy`, by epoch
    and core, are those whose buffers never lack room."""

    work: Mapping[tuple[int, int], float] = field(default_factory=dict)
    dram: Mapping[int, float] = field(default_factory=dict)
    size: Mapping[int, float] = field(default_factory=dict)
    network: float = 1.0
    roomy: frozenset[tuple[int, int]] = frozenset()


NO_CHANGE = Scales()
NO_ROOM = REASONS.index("cb reserve")


def replay(image: Image, profile: Profile, recording: Recording, scales: Scales) -> tuple[int, ...]:
    """Return the length of every epoch, in cycles."""
    return tuple(
        _Replay(image, number, epoch, recorded, scales).length()
        for number, (epoch, recorded) in enumerate(zip(profile.epochs, recording.epochs, strict=True))
    )


def saved_cycles(image: Image, profile: Profile, recording: Recording, scales: Scales) -> int:
    """Return by how much the run would have been shorter."""
    return sum(epoch.cycles for epoch in profile.epochs) - sum(replay(image, profile, recording, scales))


@dataclass(slots=True)
class _Clock:
    """Of one thread: at recorded times `old` it is `new`; after each of them it runs at `pace`."""

    pace: float
    old: list[int] = field(default_factory=lambda: [0])
    new: list[float] = field(default_factory=lambda: [0.0])

    def at(self, time: int) -> float:
        index = bisect_right(self.old, time) - 1
        return self.new[index] + self.pace * (time - self.old[index])

    def set(self, old: int, new: float) -> None:
        self.old.append(old)
        self.new.append(new)


class _Replay:
    def __init__(
        self, image: Image, number: int, epoch: EpochProfile, recording: EpochRecording, scales: Scales
    ) -> None:
        self.image, self.epoch, self.recording, self.scales = image, epoch, recording, scales
        self.clocks = {
            3 * thread.core + THREAD_NAMES.index(thread.thread): _Clock(
                scales.work.get((number, thread.core), 1.0) if thread.thread == "compute" else 1.0
            )
            for thread in epoch.threads
        }
        self.latency = round_trip(image)
        self.busy = _Busy(recording)
        self.roomy = {core for number_, core in scales.roomy if number_ == number}

    def length(self) -> int:
        for begin, end, thread, reason, _, cause, cause_time, tensor in self.recording.stalls.tolist():
            clock = self.clocks[thread]
            resumes = clock.at(begin)
            if reason != NO_ROOM or thread // 3 not in self.roomy:
                arrives = self.clocks[cause].at(min(cause_time, end)) + self.way(cause_time, end, tensor)
                resumes = max(resumes, arrives)
            clock.set(end, resumes)
        finish = self.recording.finish.tolist()
        ends = [self.clocks[thread].at(time) for thread, time in zip(self.clocks, finish, strict=True)]
        rest = self.epoch.cycles - max(finish, default=0)
        return round(max(ends, default=0.0)) + rest

    def way(self, begin: int, end: int, tensor: int) -> float:
        """How long a packet takes that was under way from `begin` to `end`. What exceeds the fixed latency is scaled:
        of a DRAM access as much as the busiest channel was busy meanwhile, the rest as the network is."""
        cycles = end - begin
        in_dram = tensor >= 0 and isinstance(self.image.tensors[tensor].place, DramPlace)
        fixed = min(cycles, self.latency[0] if in_dram else self.latency[1])
        channel = self.busy.share(begin, end) if in_dram else 0.0
        factor = channel * self.scales.dram.get(tensor, 1.0) + (1 - channel) * self.scales.network
        return fixed + factor * self.scales.size.get(tensor, 1.0) * (cycles - fixed)


class _Busy:
    """How busy the busiest DRAM channel is over time."""

    def __init__(self, recording: EpochRecording) -> None:
        self.window = recording.window
        most = recording.channels.max(axis=0, initial=0) / recording.window
        self.sums: list[float] = [0.0, *np.cumsum(most).tolist()]

    def share(self, begin: int, end: int) -> float:
        """The mean from the window of `begin` to that of `end`."""
        first = min(begin // self.window, len(self.sums) - 2)
        last = min(end // self.window, len(self.sums) - 2)
        return min(1.0, (self.sums[last + 1] - self.sums[first]) / (last + 1 - first))


def round_trip(image: Image) -> tuple[int, int]:
    """Cycles that a read takes at least, there and back over half of a ring each way: from DRAM, and between cores."""
    noc = image.machine.noc
    ring = (image.machine.columns + image.machine.rows) // 2
    between = 4 * noc.niu + noc.read_overhead + ring * noc.hop
    return between + image.machine.dram.access, between
