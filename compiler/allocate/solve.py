"""Allocate memory by lifetime: greedy placement of intervals, several orders, the lowest peak wins.

Buffers whose lifetimes overlap must not share bytes (dynamic storage allocation, NP-hard: Garey and Johnson, SR2).
Placing large buffers first, each at the lowest address (or in the tightest gap) left by those already placed that are
live at the same time, stays close to the lower bound in practice: Pisarchyk and Lee, "Efficient Memory Management for
Deep Neural Net Inference", 2020.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.allocate.problem import AllocateProblem, AllocateSolution, Arena, Buffer
from compiler.diagnostics import Diagnostic, DiagnosticError

SEARCH_ROUNDS = 300
"""Exchanges of two buffers in the order that are tried when no fixed order fits."""


def solve(problem: AllocateProblem) -> AllocateSolution:
    """Give every buffer an address.

    Raises `DiagnosticError` with one E0411 per arena that cannot hold its buffers.
    """
    addresses = [0] * len(problem.buffers)
    peaks = []
    failures = []
    known: dict[tuple[Arena, tuple[Buffer, ...]], tuple[int, ...]] = {}
    members_of: list[list[int]] = [[] for _ in problem.arenas]
    for i, buffer in enumerate(problem.buffers):
        members_of[buffer.arena].append(i)
    for arena, members in zip(problem.arenas, members_of, strict=True):
        buffers = tuple(problem.buffers[i] for i in members)
        # Cores that run alike programs have arenas that differ in name only.
        alike = replace(arena, name=""), tuple(replace(buffer, name="", arena=0) for buffer in buffers)
        if alike not in known:
            known[alike] = _solve_arena(arena, buffers)
        chosen = known[alike]
        peak = _peak(arena, buffers, chosen)
        if peak > arena.size:
            failures.append(_does_not_fit(arena, buffers, peak))
        peaks.append(peak)
        for i, address in zip(members, chosen, strict=True):
            addresses[i] = address
    if failures:
        raise DiagnosticError(tuple(failures))
    return AllocateSolution(tuple(addresses), tuple(peaks))


def live_peak(arena: Arena, buffers: Sequence[Buffer]) -> tuple[int, int]:
    """Return the most bytes of `arena` live at one time (each buffer rounded up to the alignment) and that time.

    No allocation can have a lower peak, but for the padding of the last buffer.
    """
    changes: dict[int, int] = {}
    for buffer in buffers:
        changes[buffer.start] = changes.get(buffer.start, 0) + _padded(arena, buffer)
        changes[buffer.end + 1] = changes.get(buffer.end + 1, 0) - _padded(arena, buffer)
    live, best, when = 0, 0, 0
    for time in sorted(changes):
        live += changes[time]
        if live > best:
            best, when = live, time
    return best, when


def _padded(arena: Arena, buffer: Buffer) -> int:
    return -(-buffer.nbytes // arena.alignment) * arena.alignment


def _peak(arena: Arena, buffers: Sequence[Buffer], addresses: Sequence[int]) -> int:
    ends = (address + buffer.nbytes for address, buffer in zip(addresses, buffers, strict=True))
    return max(ends, default=arena.base) - arena.base


@dataclass(frozen=True, slots=True)
class _Intervals:
    """The buffers of one arena as parallel columns: padded bytes, first and last time, and who else is live then."""

    nbytes: list[int]
    start: list[int]
    end: list[int]
    rivals: list[list[int]]


def _intervals(arena: Arena, buffers: Sequence[Buffer]) -> _Intervals:
    start = np.array([buffer.start for buffer in buffers], dtype=np.int64)
    end = np.array([buffer.end for buffer in buffers], dtype=np.int64)
    meet = (start[:, None] <= end) & (start <= end[:, None])
    np.fill_diagonal(meet, False)
    rivals = [np.flatnonzero(row).tolist() for row in meet]
    return _Intervals([_padded(arena, buffer) for buffer in buffers], start.tolist(), end.tolist(), rivals)


_Fit = Callable[[Sequence[tuple[int, int]], int], int]
"""From the gaps `(begin, end)`, ascending and the last one endless (`end == -1`), and a size: where to begin."""


def _first_fit(gaps: Sequence[tuple[int, int]], nbytes: int) -> int:
    return next(begin for begin, end in gaps if end < 0 or end - begin >= nbytes)


def _best_fit(gaps: Sequence[tuple[int, int]], nbytes: int) -> int:
    inner = [(end - begin, begin) for begin, end in gaps if end >= 0 and end - begin >= nbytes]
    return min(inner)[1] if inner else gaps[-1][0]


def _solve_arena(arena: Arena, buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Return the addresses with the lowest peak that was found; they may lie beyond the arena."""
    first = -(-arena.base // arena.alignment) * arena.alignment
    items = _intervals(arena, buffers)
    bound = live_peak(arena, buffers)[0]
    room = arena.base + arena.size - first
    return tuple(first + offset for offset in _best_offsets(items, bound, room))


def _best_offsets(items: _Intervals, bound: int, room: int) -> list[int]:
    orders = [sorted(range(len(items.nbytes)), key=key) for key in _order_keys(items)]
    best: list[int] = []
    best_height, best_order = -1, orders[0]
    for order in orders:
        for fit in (_first_fit, _best_fit):
            offsets = _stack(items, order, fit)
            height = _height(items, offsets)
            if best_height < 0 or height < best_height:
                best, best_height, best_order = offsets, height, order
            if best_height <= bound:
                return best
    # A bound above the room cannot be met, and a fit needs no more effort.
    if best_height > room >= bound:
        return _search(items, best_order, best, room)
    return best


def _order_keys(items: _Intervals) -> tuple[Callable[[int], tuple[int, ...]], ...]:
    def length(i: int) -> int:
        return items.end[i] - items.start[i] + 1

    return (
        lambda i: (-items.nbytes[i], -length(i), i),
        lambda i: (-length(i), -items.nbytes[i], i),
        lambda i: (-items.nbytes[i] * length(i), i),
        lambda i: (items.start[i], -items.nbytes[i], i),
        lambda i: (-items.end[i], -items.nbytes[i], i),
    )


def _stack(items: _Intervals, order: Sequence[int], fit: _Fit) -> list[int]:
    """Place the buffers in `order`, each beside those already placed that are live at the same time."""
    offsets = [-1] * len(order)
    for item in order:
        placed = [rival for rival in items.rivals[item] if offsets[rival] >= 0]
        spans = sorted((offsets[rival], offsets[rival] + items.nbytes[rival]) for rival in placed)
        offsets[item] = fit(_gaps(spans), items.nbytes[item])
    return offsets


def _gaps(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    gaps = []
    top = 0
    for begin, end in spans:
        if begin > top:
            gaps.append((top, begin))
        top = max(top, end)
    gaps.append((top, -1))
    return gaps


def _height(items: _Intervals, offsets: Sequence[int]) -> int:
    return max((offset + nbytes for offset, nbytes in zip(offsets, items.nbytes, strict=True)), default=0)


def _search(items: _Intervals, start: list[int], offsets: list[int], room: int) -> list[int]:
    """Exchange buffers in the order, keeping what is no worse, until they fit in `room` or the rounds are used up."""
    rng = np.random.default_rng(0)
    order, best, best_height = list(start), offsets, _height(items, offsets)
    for a, b in rng.integers(len(order), size=(SEARCH_ROUNDS, 2)).tolist():
        order[a], order[b] = order[b], order[a]
        trial = _stack(items, order, _first_fit)
        height = _height(items, trial)
        if height > best_height:
            order[a], order[b] = order[b], order[a]
            continue
        best, best_height = trial, height
        if best_height <= room:
            break
    return best


def _does_not_fit(arena: Arena, buffers: Sequence[Buffer], peak: int) -> Diagnostic:
    live, when = live_peak(arena, buffers)
    tight = live > arena.size
    need = live if tight else peak
    message = f"buffers in {arena.name} need {need} bytes, but {arena.size} bytes are available"
    reason = "live at the same time" if tight else f"{live} of them live at the same time; the rest is lost between"
    alive = sorted((b for b in buffers if b.start <= when <= b.end), key=lambda b: (-b.nbytes, b.name))
    largest = ", ".join(f"`{buffer.name}` {buffer.nbytes}" for buffer in alive[:4])
    rest = len(alive) - 4
    more = f" and {rest} smaller one{'s' if rest > 1 else ''}" if rest > 0 else ""
    return Diagnostic(
        "E0411",
        message,
        notes=(f"{reason}: {largest}{more} (bytes)",),
        helps=(f"free {need - arena.size} bytes: use more cores, smaller blocks or a narrower element type",),
    )
