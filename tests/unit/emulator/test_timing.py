"""Cycles against published measurements of Wormhole (tt-low-level-documentation, data_movement_doc).

A thread that issues one transfer and waits for it takes the transfer's latency. The measurements were made with 32
bytes of payload; where the instruction set moves no less than a page of 1024 bytes, 31 more flits are expected.
"""

from dataclasses import replace

import numpy as np
import pytest

from compiler.numerics import DType
from compiler.program import instructions as ins
from compiler.program.image import CbKind, CircularBuffer, CoreSet, IndexMap, Role, ShardPlace
from compiler.program.instructions import ZERO, Affine
from compiler.target import Coord, Machine, load_machine
from emulator import Profile, run
from tests.unit.emulator.handmade import Handmade, Program, seq

WORMHOLE = load_machine("wormhole_n150")
BASE = WORMHOLE.l1_base
EXTRA_FLITS = 31


def number(x: int, y: int, machine: Machine = WORMHOLE) -> int:
    return machine.core_number[Coord(x, y)]


def cycles(profile: Profile, core: int, thread: str, reason: int) -> int:
    (found,) = [t for t in profile.epochs[0].threads if t.core == core and t.thread == thread]
    return found.cycles[reason]


def reader(far: int, near: int, noc: int, count: int = 1) -> Profile:
    """Core `near` gathers `count` runs of 32 bytes, one packet each, from the L1 of core `far`; the rest is zero."""
    h = Handmade(WORMHOLE)
    source = h.dram("x", DType.BOOL, (32, 32), Role.INPUT)
    h.tensors.append(replace(h.tensors[0], name="s", role=Role.TEMPORARY, place=ShardPlace(0, (1, 1), (far,), 0, 0)))
    # Only `count` rows of the result have a source.
    h.index_maps.append(IndexMap((32, 32), (32, 32), (32 - count, 0), ((1, 0), (0, 1)), (32, 32)))
    load = (ins.Reserve(0, 1), ins.Read(0, ZERO, source, ZERO, 0), ins.Barrier(), ins.Push(0, 1))
    owner = Program(
        far,
        [CircularBuffer(BASE, 1, DType.BOOL, CbKind.SHARD)],
        read=[*load, ins.SemInc(ZERO, 0, 1, 0), ins.Barrier()],
        write=seq(ins.Wait(0, 1), ins.Pop(0, 1)),
    )
    read = seq(
        ins.Reserve(0, 1), ins.Await(1, ZERO), ins.Gather(0, ZERO, 1, 0, ZERO, noc), ins.Barrier(), ins.Push(0, 1)
    )
    h.epoch([owner, Program(near, [CircularBuffer(BASE + 4096, 1, DType.BOOL)], read=read)], [CoreSet((near,), False)])
    return run(h.image(), {"x": np.ones((32, 32), np.bool_)}).profile


def read_latency(far: int, near: int, noc: int) -> int:
    return WORMHOLE.noc.read_issue + cycles(reader(far, near, noc), near, "read", 5)


@pytest.mark.parametrize("noc", [0, 1])
def test_read_latency_along_one_axis_and_along_both(noc: int) -> None:
    """205 cycles in one column (12 hops there and back), 293 across both axes (22 hops), whatever the distance."""
    assert abs(read_latency(number(1, 1), number(1, 3), noc) - 205) <= 2
    assert abs(read_latency(number(1, 1), number(1, 9), noc) - 205) <= 2
    assert abs(read_latency(number(1, 1), number(2, 3), noc) - 293) <= 2
    assert abs(read_latency(number(8, 9), number(2, 3), noc) - 293) <= 2


def test_reads_are_pipelined_at_the_rate_of_their_issue() -> None:
    """25 cycles more per further read of 32 bytes."""
    near, far = number(1, 1), number(2, 3)
    profiles = [reader(far, near, 1, count) for count in (1, 9)]
    ends = [sum(cycles(p, near, "read", reason) for reason in (0, 5)) for p in profiles]
    assert (ends[1] - ends[0]) / 8 == pytest.approx(25, rel=0.02)


def increment_latency(src: int, dst: int, noc: int) -> int:
    """An acknowledged increment: a write of 4 bytes."""
    h = Handmade(WORMHOLE)
    h.epoch([Program(src, write=seq(ins.SemInc(ZERO, 0, 1, noc), ins.Barrier()))], [CoreSet((dst,), False)])
    return run(h.image(), {}).profile.makespan


def test_acknowledged_write_latency() -> None:
    """206 cycles along one axis and 294 along both; an increment is issued faster than a write."""
    faster = WORMHOLE.noc.write_issue - WORMHOLE.noc.atomic_issue
    for noc in (0, 1):
        assert abs(increment_latency(number(1, 1), number(1, 4), noc) + faster - 206) <= 3
        assert abs(increment_latency(number(1, 1), number(4, 4), noc) + faster - 294) <= 3


def multicast(rectangle: list[int], sender: int, times: int) -> int:
    """The sender's cycles for `times` multicasts of a page of 1024 bytes, acknowledged."""
    h = Handmade(WORMHOLE)
    h.dram("k", DType.BOOL, (32, 32), Role.CONSTANT, bytes(1024))
    send = seq(
        *seq(ins.Reserve(0, 1), ins.Read(0, ZERO, 0, ZERO, 0), ins.Barrier(), ins.Loop(times)),
        *seq(ins.Multicast(0, ZERO, 1, 0, 0), ins.End(), ins.Barrier()),
    )
    h.epoch([Program(sender, [CircularBuffer(BASE, 1, DType.BOOL)], read=send)], [CoreSet(tuple(rectangle), True)])
    before = Handmade(WORMHOLE, list(h.tensors))
    before.epoch([Program(sender, [CircularBuffer(BASE, 1, DType.BOOL)], read=send[:3])])
    return run(h.image(), {}).profile.makespan - run(before.image(), {}).profile.makespan


def rectangle(columns: range, rows: range) -> list[int]:
    """Live cores, which also skip the middle column of DRAM and the row of Ethernet."""
    return sorted(number(x, y) for x in columns for y in rows if Coord(x, y) in WORMHOLE.core_number)


@pytest.mark.parametrize(
    ("cores", "first", "interval"),
    [
        (rectangle(range(1, 3), range(1, 3)), 326, 39),
        (rectangle(range(1, 4), range(1, 4)), 359, 71),
        (rectangle(range(1, 10), range(1, 2)), 314, 135),
    ],
    ids=["2x2", "3x3", "row of 8"],
)
def test_multicast_as_measured(cores: list[int], first: int, interval: int) -> None:
    """First multicast and interval of unlinked ones, for a sender in the first corner."""
    once, often = multicast(cores, cores[0], 1), multicast(cores, cores[0], 9)
    assert once - EXTRA_FLITS == pytest.approx(first, rel=0.05)
    assert (often - once) / 8 == pytest.approx(interval + EXTRA_FLITS, rel=0.03)


@pytest.mark.parametrize("size", [4, 5, 7, 9])
def test_multicast_follows_the_law_of_its_depth(size: int) -> None:
    """A multicast `h` links deep takes 294 + 16 h cycles (and the time of its acknowledgements), 16 h + 6 apart."""
    cores = rectangle(range(1, 1 + size), range(1, 1 + size))
    places = [WORMHOLE.cores[core] for core in cores]
    depth = max(place.x + place.y for place in places) - 2
    once, often = multicast(cores, cores[0], 1), multicast(cores, cores[0], 9)
    assert 0 <= once - EXTRA_FLITS - (294 + 16 * depth) <= len(cores)
    assert (often - once) / 8 == pytest.approx(16 * depth + 6 + EXTRA_FLITS, rel=0.02)


def dram_stream(noc: int, channels: int, write: bool, pages: int) -> int:
    """Cycles in which one core streams 4096-byte pages to or from DRAM."""
    h = Handmade(WORMHOLE)
    stride = len(WORMHOLE.dram.channels) // channels
    x = h.dram("x", DType.F32, (32, 32 * pages * stride), Role.INPUT)
    h.dram("y", DType.F32, (32, 32 * pages * stride), Role.TEMPORARY)
    cb = CircularBuffer(BASE, pages, DType.F32)
    each, page = Affine(0, (1,)), Affine(0, (stride,))
    fill = seq(ins.Reserve(0, pages), ins.Loop(pages), ins.Read(0, each, x, page, noc), ins.End())
    drain = seq(ins.Wait(0, pages), ins.Loop(pages), ins.Write(0, each, 1, page, noc), ins.End(), ins.Barrier())
    read = seq(*fill, ins.Barrier(), ins.Push(0, pages))
    h.epoch([Program(number(1, 1), [cb], read=read, write=drain if write else ())])
    profile = run(h.image(), {"x": np.zeros((32, 32 * pages * stride), np.float32)}).profile
    return profile.makespan - (cycles(profile, number(1, 1), "write", 2) if write else 0)


def dram_rate(noc: int, channels: int, write: bool) -> float:
    """Bytes per cycle of a long stream."""
    long, short = (dram_stream(noc, channels, write, pages) for pages in (72, 24))
    return 48 * 4096 / (long - short)


@pytest.mark.parametrize("noc", [0, 1])
def test_dram_streams(noc: int) -> None:
    """22.3 bytes per cycle from one channel, 22.0 to one; from all in turn as fast as reads arrive."""
    assert dram_rate(noc, 1, False) == pytest.approx(22.3, rel=0.02)
    assert dram_rate(noc, 1, True) == pytest.approx(22.0, rel=0.02)
    assert dram_rate(noc, 12, False) == pytest.approx(31.5, rel=0.03)


def test_links_are_shared() -> None:
    """Two cores that pull the same way over one link share it: no more than a flit per cycle crosses any link."""
    h = Handmade(WORMHOLE)
    x = h.dram("x", DType.F32, (32, 32 * 24), Role.INPUT)
    cb = CircularBuffer(BASE, 24, DType.F32)
    fill = seq(ins.Reserve(0, 24), ins.Loop(24), ins.Read(0, Affine(0, (1,)), x, Affine(0, (1,)), 0), ins.End())
    cores = [number(x, 1) for x in (1, 2, 3, 4)]
    h.epoch([Program(core, [cb], read=seq(*fill, ins.Barrier())) for core in cores])
    profile = run(h.image(), {"x": np.zeros((32, 32 * 24), np.float32)}).profile
    busiest = max(link.flits for link in profile.epochs[0].links)
    assert busiest <= profile.makespan
    assert profile.makespan >= 4 * 24 * 4096 / (12 * 22.2)
