"""Flags on their way: headers that stand for pages, reads that are left out, promises that are broken."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError, Source, Span
from compiler.numerics import DType
from compiler.numerics.masks import TileMask
from compiler.program import instructions as ins
from compiler.program.image import CbKind, CircularBuffer, CoreSet, Image, Origin, Role, ShardPlace
from compiler.program.instructions import ZERO, Affine, CbTile
from emulator import Profile, RunResult, run
from emulator.profile import Spared
from tests.unit.emulator.flagging import BASE, MACHINE, Array, Staged, checked_machine, kernels, page, same, tile
from tests.unit.emulator.handmade import Handmade, Program, seq

OWNER, NEAR, FAR = 0, 1, 3
I0 = Affine(0, (1,))
BARRIER = 5
PAGE_BYTES = 4096
PAYLOAD_FLITS = PAGE_BYTES // MACHINE.noc.flit_bytes


def row(*tiles: Array) -> Array:
    return np.concatenate(tiles, axis=1)


def ring(number: int, capacity: int, kind: CbKind = CbKind.STREAM) -> CircularBuffer:
    return CircularBuffer(BASE + number * 65536, capacity, DType.F32, kind)


def owner(h: Handmade, x: Array) -> Program:
    """Core `OWNER` packs the pages of `x` to a shard, tensor 1, and announces them to core set 0."""
    pages = x.shape[1] // 32
    source = h.dram("x", DType.F32, x.shape, Role.INPUT)
    h.tensors.append(replace(h.tensors[0], name="s", role=Role.TEMPORARY, place=ShardPlace(0, (1, 1), (OWNER,), 1, 0)))
    loop, end = ins.Loop(pages), ins.End()
    copy = (ins.Map(0, 0, (CbTile(0, ZERO),)), ins.Pack(0, 1, ZERO, False, None))
    return Program(
        OWNER,
        [ring(0, 1), ring(1, pages, CbKind.SHARD)],
        read=seq(loop, ins.Reserve(0, 1), ins.Read(0, ZERO, source, I0, 0), ins.Barrier(), ins.Push(0, 1), end),
        compute=seq(loop, ins.Wait(0, 1), ins.Reserve(1, 1), *copy, ins.Push(1, 1), ins.Pop(0, 1), end),
        write=seq(loop, ins.Wait(1, 1), ins.Pop(1, 1), ins.SemInc(ZERO, 0, 1, 1), end, ins.Barrier()),
    )


def stored(cb: int, tensor: int, pages: int, first: int = 0) -> tuple[ins.Instruction, ...]:
    """The pages of a cb, whose flags are looked at, are written to a tensor."""
    body = (ins.Wait(cb, 1), ins.Probe(0, cb, ZERO), ins.Write(cb, ZERO, tensor, Affine(first, (1,)), 1))
    return seq(ins.Loop(pages), *body, ins.Barrier(), ins.Pop(cb, 1), ins.End())


def handed_over(x: Array, looks: bool = True) -> RunResult:
    """Core `FAR` reads the shard and writes it to `y`."""
    h = Handmade(MACHINE, kernels=kernels(DType.F32))
    program, pages = owner(h, x), x.shape[1] // 32
    y = h.dram("y", DType.F32, x.shape, Role.OUTPUT)
    body = (ins.Await(1, I0), ins.Reserve(0, 1), ins.Read(0, ZERO, 1, I0, 0), ins.Barrier(), ins.Push(0, 1))
    write = [i for i in stored(0, y, pages) if looks or not isinstance(i, ins.Probe)]
    reader = Program(FAR, [ring(0, 2)], read=seq(ins.Loop(pages), *body, ins.End()), write=write)
    h.epoch([program, reader], [CoreSet((FAR,), False)])
    return run(h.image(), {"x": x})


def barrier_cycles(profile: Profile, core: int) -> int:
    (found,) = [t for t in profile.epochs[0].threads if t.core == core and t.thread == "read"]
    return found.cycles[BARRIER]


def flits(profile: Profile) -> int:
    return sum(link.flits for link in profile.epochs[0].links)


def test_a_header_stands_for_a_page_of_zeros() -> None:
    """The answer has one flit, and takes as many cycles less as its payload would have had flits."""
    live, zero = handed_over(tile(3.0)), handed_over(tile(0.0))
    assert barrier_cycles(live.profile, FAR) - barrier_cycles(zero.profile, FAR) == PAYLOAD_FLITS
    assert same(zero.outputs["y"], tile(0.0))
    assert live.profile.spared == Spared()
    hops = FAR - OWNER
    assert zero.profile.spared == Spared(headers=1, payload_bytes=PAGE_BYTES, flits=hops * PAYLOAD_FLITS)
    assert flits(live.profile) - flits(zero.profile) == zero.profile.spared.flits
    moved = {t.tensor: t.read_bytes for t in zero.profile.epochs[0].tensors}
    assert moved["x"] == PAGE_BYTES
    assert "s" not in moved


def test_a_negative_zero_travels_in_full() -> None:
    """A division tells it from +0."""
    x = tile(-0.0, (4, 4))
    found = handed_over(x)
    assert found.profile.spared == Spared()
    assert found.outputs["y"].tobytes() == x.tobytes()


def test_where_nobody_looks_pages_travel_in_full() -> None:
    assert handed_over(tile(0.0), looks=False).profile.spared == Spared()


def gated(gate: Array, x: Array, flag_check: int = 2) -> RunResult:
    """Core `FAR` reads a gate from the shard, and `x2` from DRAM under it; the product goes to `y`."""
    machine = checked_machine(flag_check)
    h = Handmade(machine, kernels=kernels(DType.F32))
    program = owner(h, gate)
    source, y = h.dram("x2", DType.F32, x.shape, Role.INPUT), h.dram("y", DType.F32, x.shape, Role.OUTPUT)
    get_gate = (ins.Await(1, I0), ins.Reserve(0, 1), ins.Read(0, ZERO, 1, I0, 0), ins.Barrier(), ins.Push(0, 1))
    look = (ins.Wait(0, 1), ins.Probe(4, 0, ZERO), ins.Pop(0, 1))
    get = (ins.Reserve(1, 1), ins.Read(1, ZERO, source, I0, 0, 4), ins.Barrier(), ins.Push(1, 1))
    value = (ins.Wait(1, 1), ins.Reserve(2, 1), ins.Map(1, 0, (CbTile(1, ZERO),), (), True))
    compute = (*value, ins.Pack(0, 2, ZERO, False, None), ins.Push(2, 1), ins.Pop(1, 1))
    pages = x.shape[1] // 32
    loop, end = ins.Loop(pages), ins.End()
    reader = Program(
        FAR,
        [ring(0, 1), ring(1, 1), ring(2, 1)],
        read=seq(loop, *get_gate, *look, *get, end),
        compute=seq(loop, *compute, end),
        write=stored(2, y, pages),
    )
    h.epoch([program, reader], [CoreSet((FAR,), False)])
    return run(h.image(), {"x": gate, "x2": x})


def test_a_guard_leaves_reads_out() -> None:
    """Pages 0 and 2 of the gate are zero: there nothing is read, mapped or packed."""
    gate = row(tile(0.0), tile(1.0), tile(-0.0), tile(1e-45))
    x = row(*(tile(float(k)) for k in range(1, 5)))
    found = gated(gate, x)
    assert same(found.outputs["y"], row(tile(0.0), tile(2.0), tile(0.0), tile(4.0)))
    assert found.profile.spared.reads == 2
    assert (found.profile.skipped.maps, found.profile.skipped.packs) == (2, 2)
    read = {t.tensor: t.read_bytes for t in found.profile.epochs[0].tensors}
    assert read["x2"] == 2 * PAGE_BYTES
    assert sum(channel.read_bytes for channel in found.profile.epochs[0].channels) == 6 * PAGE_BYTES


def test_probes_and_guards_cost_a_look() -> None:
    """A probe looks once; a guard that is 0 does when it flags the page."""
    for gate, looks in ((tile(0.0), 2), (tile(1.0), 1)):
        busy = []
        for cost in (0, 500):
            (found,) = [
                t for t in gated(gate, tile(2.0), cost).profile.epochs[0].threads if (t.core, t.thread) == (FAR, "read")
            ]
            busy.append(found.cycles[0])
        assert busy[1] - busy[0] == 500 * looks


def test_dram_keeps_no_flags() -> None:
    """A page of zeros comes from DRAM in full, and a probe of it finds no flag."""
    h = Handmade(MACHINE)
    x, z = h.dram("x", DType.F32, (32, 32), Role.INPUT), h.dram("z", DType.F32, (32, 32), Role.INPUT)
    y = h.dram("y", DType.F32, (32, 32), Role.OUTPUT)
    first = (ins.Reserve(0, 1), ins.Read(0, ZERO, z, ZERO, 0), ins.Barrier(), ins.Push(0, 1), ins.Wait(0, 1))
    second = (ins.Reserve(1, 1), ins.Read(1, ZERO, x, ZERO, 0, 2), ins.Barrier(), ins.Push(1, 1))
    read = (*first, ins.Probe(2, 0, ZERO), ins.Pop(0, 1), *second)
    h.epoch([Program(NEAR, [ring(0, 1), ring(1, 1)], read, stored(1, y, 1))])
    found = run(h.image(), {"x": tile(5.0), "z": tile(0.0)})
    assert same(found.outputs["y"], tile(5.0))
    assert found.profile.spared == Spared()


def test_a_page_that_is_not_stored_is_flagged() -> None:
    """The gate has two pages of which the first does not live; where it is zero, `x` is not read."""
    h = Handmade(MACHINE)
    gate = row(tile(0.0), tile(0.0))
    z = h.dram("z", DType.F32, gate.shape, Role.INPUT)
    h.tensors[z] = replace(h.tensors[z], live=TileMask.of(np.array([[False, True]])))
    x, y = h.dram("x", DType.F32, gate.shape, Role.INPUT), h.dram("y", DType.F32, gate.shape, Role.OUTPUT)
    first = (ins.Reserve(0, 1), ins.Read(0, ZERO, z, I0, 0), ins.Barrier(), ins.Push(0, 1), ins.Wait(0, 1))
    second = (ins.Reserve(1, 1), ins.Read(1, ZERO, x, I0, 0, 2), ins.Barrier(), ins.Push(1, 1))
    read = seq(ins.Loop(2), *first, ins.Probe(2, 0, ZERO), ins.Pop(0, 1), *second, ins.End())
    h.epoch([Program(NEAR, [ring(0, 1), ring(1, 1)], read, stored(1, y, 2))])
    found = run(h.image(), {"x": gate + 5, "z": gate})
    assert same(found.outputs["y"], row(tile(0.0), tile(5.0)))
    assert found.profile.spared == Spared(headers=1, reads=1, payload_bytes=2 * PAGE_BYTES)


MEMBERS = (1, 2, 3)
BATCH, BATCHES = 4, 2


def multicasts(x: Array, tree: bool, looks: bool = True) -> tuple[RunResult, Array]:
    """Core `NEAR` reads the shard, `BATCH` pages at a time into a ring of 6, and passes them on to cores 2 and 3."""
    h = Handmade(MACHINE, kernels=kernels(DType.F32))
    program = owner(h, x)
    outputs = [h.dram(f"y{core}", DType.F32, x.shape, Role.OUTPUT) for core in MEMBERS]
    others = CoreSet(MEMBERS if tree else MEMBERS[1:], tree)
    loop, end, page = ins.Loop(BATCHES), ins.End(), Affine(0, (BATCH, 1))
    gather = (ins.Loop(BATCH), ins.Await(1, page), ins.Read(1, Affine(0, (0, 1)), 1, page, 0), ins.End(), ins.Barrier())
    send = (ins.SemWait(Affine(6), 2), ins.Multicast(1, ZERO, BATCH, 1, 0), ins.SemInc(Affine(5), 1, 1, 0))
    sender = seq(loop, ins.Reserve(1, BATCH), *gather, *send, ins.Barrier(), ins.Push(1, BATCH), end)
    room = (ins.Reserve(1, BATCH), ins.SemInc(Affine(6), 0, 1, 0), ins.SemWait(Affine(5), 1), ins.Push(1, BATCH))
    receiver = seq(loop, *room, end, ins.Barrier())
    programs = [program]
    for core, y in zip(MEMBERS, outputs, strict=True):
        write = [i for i in stored(1, y, BATCH * BATCHES) if looks or not isinstance(i, ins.Probe)]
        programs.append(Program(core, [ring(0, 1), ring(1, 6)], sender if core == NEAR else receiver, write))
    h.epoch(programs, [CoreSet((NEAR,), False), others])
    found = run(h.image(), {"x": x})
    return found, np.stack([found.outputs[f"y{core}"] for core in MEMBERS])


@given(zeros=st.lists(st.booleans(), min_size=8, max_size=8), tree=st.booleans())
def test_multicasts_of_pages_some_of_which_are_zero(zeros: list[bool], tree: bool) -> None:
    """Every core gets every page; a header stands for each zero page on each of its ways."""
    x = row(*(tile(0.0 if zero else 1.0 + k) for k, zero in enumerate(zeros)))
    found, received = multicasts(x, tree)
    assert all(same(array, x) for array in received)
    headers = sum(zeros) * (2 if tree else 3)
    assert found.profile.spared.headers == headers
    assert found.profile.spared.payload_bytes == headers * PAGE_BYTES
    plain, _ = multicasts(x, tree, looks=False)
    sent = flits(plain.profile) - flits(found.profile)
    # A zero page between others takes them apart, and so costs a header more on each link.
    assert 0 <= found.profile.spared.flits - sent <= 4 * 3 * sum(zeros)


def test_a_multicast_of_live_pages_takes_the_time_that_it_took() -> None:
    """Flags that are kept, but spare nothing, change nothing but for the looks."""
    x = row(*(tile(1.0 + k) for k in range(8)))
    for tree in (False, True):
        looking, plain = (multicasts(x, tree, looks)[0].profile for looks in (True, False))
        assert barrier_cycles(looking, NEAR) == barrier_cycles(plain, NEAR)
        assert flits(looking) == flits(plain)


def test_a_multicast_of_zeros_is_shorter() -> None:
    """The sender waits for as many cycles less as the payload has flits, for what it reads and for what it sends."""
    live, zero = (multicasts(row(*[tile(value)] * 8), True)[0].profile for value in (1.0, 0.0))
    assert zero.spared.headers == 2 * BATCHES * BATCH
    assert barrier_cycles(live, NEAR) - barrier_cycles(zero, NEAR) > BATCHES * BATCH * PAYLOAD_FLITS
    assert live.makespan > zero.makespan


PACK = (ins.Map(1, 0, (page(0),)), ins.Pack(0, 2, ZERO, False, None))


def promising(value: float, looks: bool = False) -> Image:
    """`a` is packed to a cb that is checked."""
    compute = (replace(PACK[0], zeros=(0,) if looks else ()), PACK[1])
    image = Staged({"a": tile(value, (3, 3), 1.0)}, compute, checked=frozenset({"a"})).image()
    span = Span("p.mesh", 1, 5, 1, 8)
    return replace(image, origins=(Origin("stage", span),), sources=(Source("p.mesh", "let a = exp(x)"),))


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_broken_promise_stops_the_run(value: float, looks: bool) -> None:
    image = promising(value, looks)
    with pytest.raises(DiagnosticError) as caught:
        run(image, {"a": tile(value, (3, 3), 1.0)})
    (found,) = caught.value.diagnostics
    assert found.code == "E0518"
    assert found.message.startswith("`a` is promised to be finite, but core 5 at (2, 1) has computed a tile of it")
    assert "--assume-finite" in found.notes[0]
    assert "epoch 0" in found.notes[1]
    assert found.labels[0].span.line == 1
    assert len(found.helps) == 2
    assert caught.value.sources["p.mesh"].text == "let a = exp(x)"


def test_a_broken_promise_names_the_declaration() -> None:
    image = promising(np.nan)
    image = replace(image, tensors=(replace(image.tensors[0], finite=True), *image.tensors[1:]))
    with pytest.raises(DiagnosticError) as caught:
        run(image, {"a": tile(np.nan)})
    assert caught.value.diagnostics[0].notes[0] == "promised by `finite` at the declaration of `a`"


@pytest.mark.parametrize("value", [0.0, -0.0, 3e38, 1e-45])
def test_a_promise_that_is_kept(value: float) -> None:
    x = tile(value, (3, 3), 1.0)
    assert same(run(promising(value), {"a": x}).outputs["y"], x)


def test_counters_of_the_profile_add_up() -> None:
    gate = row(tile(0.0), tile(1.0))
    profile = gated(gate, gate + 1).profile
    assert profile.skipped == profile.epochs[0].skipped
    assert profile.spared == profile.epochs[0].spared
    document = profile.to_json()
    assert document["spared"]["reads"] == 1
    assert Profile.from_json(document) == profile
