"""The critical path of a run: from its last instruction back to the start, always to what was waited for.

Every stall was recorded with its cause: the thread that pushed, popped or sent, and when. So the path is found by
walking back: a thread's own time since its latest stall; then, if what ended the stall took a while to arrive, that way
through the network; then the thread that caused it, from then on. Each cycle between the first and the last is on
exactly one piece, so the pieces add up to the length of the epoch.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from compiler.program.image import DramPlace, Image
from emulator.profile import REASONS, THREAD_NAMES, EpochProfile, Profile
from emulator.recording import EpochRecording, Recording


class Piece(Enum):
    """What a stretch of the path is spent on."""

    WORK = "work"
    """A thread at its own instructions (for compute threads: the data path at work)."""
    DRAM = "dram"
    """A request on its way to a DRAM channel and back, the channel's service and its queue included."""
    NETWORK = "network"
    """A packet between cores, or its acknowledgement."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`begin` and `end` are cycles since the start of the run. `thread` is `3 * core + index in THREAD_NAMES`: who is
    at work, or who asked for the packet. `tensor` is the one that the packet belongs to, -1 for none."""

    epoch: int
    begin: int
    end: int
    piece: Piece
    thread: int
    reason: str
    """How the wait that this piece ended shows in the profile; `busy` for work."""
    tensor: int

    @property
    def cycles(self) -> int:
        return self.end - self.begin


def critical_path(image: Image, profile: Profile, recording: Recording) -> tuple[Segment, ...]:
    """Return the path of the whole run in order of time; between epochs it has the gaps of the launches."""
    first = profile.epochs[0].start if profile.epochs else 0
    found: list[Segment] = []
    for number, (epoch, recorded) in enumerate(zip(profile.epochs, recording.epochs, strict=True)):
        found += _epoch_path(image, number, epoch, recorded, epoch.start - first)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Stalls:
    """Stalls of one thread, in order: when each ended, and its row in the recording."""

    ends: list[int]
    rows: list[int]


def _epoch_path(image: Image, number: int, epoch: EpochProfile, recording: EpochRecording, start: int) -> list[Segment]:
    if not epoch.threads:
        return []
    stalls = recording.stalls.tolist()
    by_thread: defaultdict[int, _Stalls] = defaultdict(lambda: _Stalls([], []))
    for row, stall in enumerate(stalls):
        by_thread[stall[2]].ends.append(stall[1])
        by_thread[stall[2]].rows.append(row)
    last = int(np.argmax(recording.finish))
    thread = _number(epoch, last)
    pieces = list(_walk(stalls, by_thread, thread, epoch.cycles))
    return [_segment(image, number, start, piece) for piece in reversed(pieces)]


def _number(epoch: EpochProfile, index: int) -> int:
    thread = epoch.threads[index]
    return 3 * thread.core + THREAD_NAMES.index(thread.thread)


_Raw = tuple[int, int, int, str, int, bool]
"""Begin, end, thread, reason, tensor, whether it is work."""


def _walk(stalls: list[list[int]], by_thread: dict[int, _Stalls], thread: int, time: int) -> Iterator[_Raw]:
    """Yield pieces backward in time. A cause must stand earlier in the recording than its effect, so this ends even
    where several things happen in one cycle."""
    limit = len(stalls)
    while time > 0:
        row = _latest(by_thread.get(thread), time, limit)
        if row is None:
            yield 0, time, thread, "busy", -1, True
            return
        _, end, _, reason, _, cause, cause_time, tensor = stalls[row]
        if end < time:
            yield end, time, thread, "busy", -1, True
        if cause_time < end:
            yield cause_time, end, thread, REASONS[reason], tensor, False
        thread, time, limit = cause, cause_time, row


def _latest(stalls: _Stalls | None, time: int, limit: int) -> int | None:
    """The row of the latest stall that ended by `time` and stands before row `limit`."""
    if stalls is None:
        return None
    index = min(bisect_right(stalls.ends, time), bisect_right(stalls.rows, limit - 1)) - 1
    return stalls.rows[index] if index >= 0 else None


def _segment(image: Image, number: int, start: int, raw: _Raw) -> Segment:
    begin, end, thread, reason, tensor, work = raw
    piece = Piece.WORK if work else _way(image, tensor)
    return Segment(number, start + begin, start + end, piece, thread, reason, tensor)


def _way(image: Image, tensor: int) -> Piece:
    in_dram = tensor >= 0 and isinstance(image.tensors[tensor].place, DramPlace)
    return Piece.DRAM if in_dram else Piece.NETWORK
