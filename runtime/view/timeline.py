"""Time cut into windows: what every thread, link, channel and L1 did in each of them.

With a recording an epoch has many windows; with only a profile it has one, and shows means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.numerics.layout import page_bytes
from compiler.program.image import Image
from emulator.profile import REASONS, THREAD_NAMES, EpochProfile, Profile
from emulator.recording import EpochRecording, Recording
from runtime.view.routes import Ints, Link

WINDOWS = 240
"""Windows of a whole run, about."""
BUSY, PIPE, IDLE = REASONS.index("busy"), REASONS.index("pipe"), REASONS.index("idle")


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Arrays with the window as last axis. Times are cycles since the start of the run.

    `threads[core, thread, reason, window]` are cycles, for the cores in `cores`; they add up to the length of the
    window for cores with a program in its epoch. With a recording, `pipe` is a part of `busy`. `links[link, window]`
    are flits, `channels[channel, window]` busy cycles, `fill[core, window]` the most bytes that waited in the L1 of a
    core.
    """

    cores: tuple[int, ...]
    starts: Ints
    lengths: Ints
    epochs: Ints
    """Epoch of each window."""
    threads: Ints
    links: Ints
    channels: Ints
    fill: Ints
    recorded: bool


def timeline_of(image: Image, links: Sequence[Link], profile: Profile, recording: Recording | None) -> Timeline:
    """Cut the run of `image` into windows; `links` numbers the links."""
    cores = tuple(sorted({program.core for epoch in image.epochs for program in epoch.programs}))
    parts = [
        _epoch(image, number, links, cores, profile, recording.epochs[number] if recording else None)
        for number in range(len(profile.epochs))
    ]
    starts = [part.starts for part in parts]
    return Timeline(
        cores=cores,
        starts=np.concatenate(starts),
        lengths=np.concatenate([part.lengths for part in parts]),
        epochs=np.repeat(np.arange(len(parts)), [len(part) for part in starts]),
        threads=np.concatenate([part.threads for part in parts], axis=-1),
        links=np.concatenate([part.links for part in parts], axis=-1),
        channels=np.concatenate([part.channels for part in parts], axis=-1),
        fill=np.concatenate([part.fill for part in parts], axis=-1),
        recorded=recording is not None,
    )


def _epoch(
    image: Image,
    number: int,
    links: Sequence[Link],
    cores: tuple[int, ...],
    profile: Profile,
    recording: EpochRecording | None,
) -> Timeline:
    epoch = profile.epochs[number]
    edges = _edges(epoch, profile.makespan, recording)
    row = {core: index for index, core in enumerate(cores)}
    count = len(edges) - 1
    threads = np.zeros((len(cores), 3, len(REASONS), count), np.int64)
    link_row = {link: index for index, link in enumerate(links)}
    flits = np.zeros((len(links), count), np.int64)
    used = [link_row[Link(link.noc, link.src, link.dst)] for link in epoch.links]
    if recording is None:
        for thread in epoch.threads:
            threads[row[thread.core], THREAD_NAMES.index(thread.thread), :, 0] = thread.cycles
        flits[used, 0] = [link.flits for link in epoch.links]
        channels = _channel_cycles(image, epoch)
        fill = np.zeros((len(cores), 1), np.int64)
    else:
        _thread_windows(threads, row, epoch, recording, edges)
        groups = edges[:-1] // recording.window
        if used:
            flits[used] = np.add.reduceat(recording.links, groups, axis=1)
        channels = np.add.reduceat(recording.channels, groups, axis=1)
        fill = _fill(image, number, row, recording, groups)
    return Timeline(
        cores=cores,
        starts=edges[:-1] + epoch.start - profile.epochs[0].start,
        lengths=np.diff(edges),
        epochs=np.full(count, number),
        threads=threads,
        links=flits,
        channels=channels,
        fill=fill,
        recorded=recording is not None,
    )


def _edges(epoch: EpochProfile, makespan: int, recording: EpochRecording | None) -> Ints:
    """Where the windows of an epoch begin and end, in cycles since its start; multiples of the recording's windows."""
    length = max(epoch.cycles, 1)
    if recording is None:
        return np.array([0, length], np.int64)
    wanted = max(1, round(WINDOWS * length / max(makespan, 1)))
    step = recording.window * max(1, round(length / wanted / recording.window))
    return np.append(np.arange(0, length, step, dtype=np.int64), length)


def _channel_cycles(image: Image, epoch: EpochProfile) -> Ints:
    rate = image.machine.dram.bytes_per_cycle
    busy = [round((channel.read_bytes + channel.written_bytes) / rate) for channel in epoch.channels]
    return np.array(busy, np.int64).reshape(-1, 1)


def _thread_windows(
    threads: Ints, row: dict[int, int], epoch: EpochProfile, recording: EpochRecording, edges: Ints
) -> None:
    """Fill `threads` from stalls and ends of programs; what remains of a window is busy."""
    stalls = recording.stalls
    covered = covered_cycles(
        stalls[:, 2] * len(REASONS) + stalls[:, 3], stalls[:, 0], stalls[:, 1], edges, 3 * len(REASONS) * _cores(epoch)
    ).reshape(-1, len(REASONS), len(edges) - 1)
    lengths = np.diff(edges)
    for thread, finish in zip(epoch.threads, recording.finish.tolist(), strict=True):
        kind = THREAD_NAMES.index(thread.thread)
        cycles = covered[3 * thread.core + kind]
        cycles[IDLE] = np.clip(edges[1:] - np.maximum(edges[:-1], finish), 0, None)
        cycles[BUSY] = lengths - cycles.sum(axis=0)
        threads[row[thread.core], kind] = cycles


def _cores(epoch: EpochProfile) -> int:
    return max((thread.core for thread in epoch.threads), default=0) + 1


def covered_cycles(rows: Ints, begins: Ints, ends: Ints, edges: Ints, count: int) -> Ints:
    """Cycles that intervals `[begin, end)` cover, by row and window between `edges`; they lie within the edges."""
    windows = len(edges) - 1
    counts, sums = (np.zeros(count * windows, np.int64) for _ in range(2))
    for points, sign in ((begins, 1), (ends, -1)):
        window = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, windows - 1)
        np.add.at(counts, rows * windows + window, sign)
        np.add.at(sums, rows * windows + window, sign * points)
    before = np.cumsum(counts.reshape(count, windows), axis=1) * edges[1:]
    covered = before - np.cumsum(sums.reshape(count, windows), axis=1)
    return np.diff(covered, axis=1, prepend=0)


def _fill(image: Image, number: int, row: dict[int, int], recording: EpochRecording, groups: Ints) -> Ints:
    """Bytes that waited in the cbs of each core."""
    fill = np.zeros((len(row), len(groups)), np.int64)
    peaks = np.maximum.reduceat(recording.fills, groups, axis=1) if len(recording.fills) else recording.fills
    buffers = ((program.core, buffer) for program in image.epochs[number].programs for buffer in program.buffers)
    for (core, buffer), pages in zip(buffers, peaks, strict=True):
        fill[row[core]] += pages * page_bytes(buffer.dtype)
    return fill
