"""Flags in DRAM: pages of which only a word is written, senses, reads that heed them, and programs that misuse them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.numerics import DType
from compiler.numerics.masks import TileMask
from compiler.program import instructions as ins
from compiler.program.image import CoreSet, DramPlace, Role
from compiler.program.instructions import FLAG_WORD, ZERO, Affine
from compiler.program.pages import channel_bytes
from compiler.target import Machine, costs, load_machine, preset_names
from emulator import Profile, RunResult, run
from emulator.faults import SoftwareFault, UninitializedRead
from emulator.profile import Spared
from tests.unit.emulator.flagging import MACHINE, checked_machine, same, tile
from tests.unit.emulator.handmade import Program, seq
from tests.unit.emulator.relaying import (
    BARE,
    FAR,
    KINDS,
    NEAR,
    Relay,
    copied,
    one_by_one,
    plain,
    relayed,
    ring,
    sensed,
    values,
)

BARRIER = 5
PAGE_BYTES = 4096
PAYLOAD_FLITS = PAGE_BYTES // MACHINE.noc.flit_bytes
CHANNELS = MACHINE.dram.channels
ONE = Affine(1)


def traffic(profile: Profile, epoch: int, tensor: str = "t") -> tuple[int, int]:
    (found,) = [(t.read_bytes, t.written_bytes) for t in profile.epochs[epoch].tensors if t.tensor == tensor]
    return found


def waited(result: RunResult, epoch: int, thread: str) -> tuple[int, int]:
    """Cycles that a thread is busy, and that it waits at barriers."""
    (found,) = [t for t in result.profile.epochs[epoch].threads if t.thread == thread]
    return found.cycles[0], found.cycles[BARRIER]


def hops_both_ways(machine: Machine, core: int) -> int:
    """Between a core and the channel of page 0, on NoC 0."""
    channel, place = machine.dram.channels[0], machine.cores[core]
    return costs.hop_count(machine, 0, place, channel) + costs.hop_count(machine, 0, channel, place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_through_dram(kind: str) -> None:
    """Its bytes are the same, and only a word moves where that can stand for them."""
    found, bare = relayed([kind], one_by_one([kind])), kind in BARE
    assert found.outputs["y"].tobytes() == values([kind]).tobytes()
    moved = FLAG_WORD + (0 if bare else PAGE_BYTES)
    assert traffic(found.profile, 0) == (0, moved)
    assert traffic(found.profile, 1) == (moved, 0)
    links = costs.hop_count(MACHINE, 1, MACHINE.cores[NEAR], CHANNELS[0])
    links += costs.hop_count(MACHINE, 0, CHANNELS[0], MACHINE.cores[FAR])
    left = Spared(reads=1, writes=1, payload_bytes=2 * PAGE_BYTES, flits=links * PAYLOAD_FLITS) if bare else Spared()
    guarded = Spared(reads=1, payload_bytes=PAGE_BYTES) if kind == "dead" else Spared()
    assert found.profile.spared == left + guarded


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("core", [0, FAR])
def test_a_sensed_zero_takes_one_round_trip_of_a_word(preset: str, core: int) -> None:
    machine = load_machine(preset)
    relay = Relay(machine)
    relay.start(1)
    relay.compute(["zero"])
    relay.copy(sensed(0), 1, core=core)
    found = run(relay.image(), {"x": values(["zero"])})
    trip = costs.sense_cycles(machine, hops_both_ways(machine, core))
    assert waited(found, 1, "read")[1] == trip - machine.noc.read_issue


@pytest.mark.parametrize("kind", ["live", "negative", "infinite"])
def test_a_live_page_takes_one_round_trip_more(kind: str) -> None:
    """And a look at the flags; without flags it takes what it took."""
    kinds = [kind]
    found = relayed(kinds, one_by_one(kinds))
    before = relayed(kinds, plain(0), flagged=False)
    zero = relayed(["zero"], one_by_one(["zero"]))
    assert waited(found, 1, "read")[1] == waited(before, 1, "read")[1] + waited(zero, 1, "read")[1]
    look, issue = MACHINE.core.flag_check, MACHINE.noc.read_issue
    assert waited(found, 1, "read")[0] == waited(before, 1, "read")[0] + issue + look


def busy_with(kind: str, epoch: int, thread: str, flag_check: int) -> int:
    relay = Relay(checked_machine(flag_check))
    relay.start(1)
    relay.compute([kind])
    relay.copy(sensed(0), 1)
    return waited(run(relay.image(), {"x": values([kind])}), epoch, thread)[0]


@pytest.mark.parametrize("kind", ["live", "zero"])
@pytest.mark.parametrize(("epoch", "thread"), [(0, "write"), (1, "read")])
def test_costs_of_flags(kind: str, epoch: int, thread: str) -> None:
    """What the estimates reckon for a page, sensed or written, is what the thread spends, besides its cbs."""
    reckoned = {
        check: costs.flagged_store_cost(checked_machine(check), PAGE_BYTES, kind == "live")
        if thread == "write"
        else costs.sensed_load_cost(checked_machine(check), PAGE_BYTES, kind == "live")
        for check in (0, 2, 500)
    }
    spent = {check: busy_with(kind, epoch, thread, check) for check in reckoned}
    assert {spent[check] - reckoned[check] for check in reckoned} == {2 * MACHINE.core.cb_op}


@pytest.mark.parametrize("kind", ["live", "zero"])
def test_channels_serve_words_and_pages(kind: str) -> None:
    """For as long as the estimates reckon."""
    relay = Relay(MACHINE)
    relay.start(2)
    relay.compute([kind, ""])
    relay.epoch([Program(FAR, [ring(0, 1)], sensed(0), (ins.Wait(0, 1), ins.Pop(0, 1)))])
    relay.tensors[2] = replace(relay.tensors[2], role=Role.TEMPORARY)
    found = run(relay.image(), {"x": values([kind, ""])}, record=True)
    assert found.recording is not None
    assert found.recording.epochs[1].channels.sum() == costs.flagged_service(MACHINE, PAGE_BYTES, kind == "live")


def test_flags_survive_epochs() -> None:
    """Behind epochs that use the same L1, another core finds the flags, and leaves out under a gate what they spare."""
    kinds = ["zero", "live", "dead", "infinite", "negative"]
    relay = Relay(MACHINE)
    relay.start(len(kinds))
    relay.compute(kinds)
    other = relay.dram("z", DType.F32, (32, 32 * len(kinds)), Role.INPUT)
    scratch = relay.dram("w", DType.F32, (32, 32), Role.TEMPORARY)
    for core in (NEAR, FAR):
        load = (ins.Reserve(0, 1), ins.Read(0, ZERO, other, ONE, 0), ins.Barrier(), ins.Push(0, 1))
        store = (ins.Wait(0, 1), ins.Write(0, ZERO, scratch, ZERO, 1), ins.Barrier(), ins.Pop(0, 1))
        relay.epoch([Program(core, [ring(0, 1)], load, store)])
    page = Affine(0, (1,))
    gate = (ins.Reserve(1, 1), ins.Sense(1, ZERO, 1, page, 0), ins.Barrier(), ins.Read(1, ZERO, 1, page, 0))
    look = (ins.Barrier(), ins.Push(1, 1), ins.Wait(1, 1), ins.Probe(3, 1, ZERO), ins.Pop(1, 1))
    get = (ins.Reserve(0, 1), ins.Read(0, ZERO, other, page, 0, 3), ins.Barrier(), ins.Push(0, 1))
    store = (ins.Wait(0, 1), ins.Write(0, ZERO, 2, page, 1), ins.Barrier(), ins.Pop(0, 1))
    loop, end = ins.Loop(len(kinds)), ins.End()
    program = Program(FAR, [ring(0, 1), ring(1, 1)], seq(loop, *gate, *look, *get, end), seq(loop, *store, end))
    relay.epoch([program])
    z = np.concatenate([tile(float(k + 1)) for k in range(len(kinds))], axis=1)
    found = run(relay.image(), {"x": values(kinds), "z": z})
    # A page of zeros one of which is negative is flagged zero, although it is stored.
    opened = [kind not in (*BARE, "negative") for kind in kinds]
    assert same(found.outputs["y"], z * np.repeat(opened, 32))
    assert traffic(found.profile, 3, "z") == (sum(opened) * PAGE_BYTES, 0)
    assert traffic(found.profile, 3) == (len(kinds) * FLAG_WORD + 3 * PAGE_BYTES, 0)


@given(data=st.data())
@settings(max_examples=25)
def test_with_and_without_flags_the_bytes_are_the_same(data: st.DataObject) -> None:
    """Blocks of pages through a ring that is reused, some sensed and some, if they are stored, not."""
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=9))
    capacity = data.draw(st.integers(1, 4))
    read: list[ins.Instruction] = []
    senses: list[bool] = []
    while len(senses) < len(kinds):
        first = len(senses)
        count = data.draw(st.integers(1, min(capacity, len(kinds) - first)))
        asks = any(kind in BARE for kind in kinds[first : first + count]) or data.draw(st.booleans())
        read += sensed(first, count) if asks else plain(first, count)
        senses += [asks] * count
    flagged = relayed(kinds, read, True, capacity)
    unflagged = relayed(kinds, [at for at in read if not isinstance(at, ins.Sense)], False, capacity)
    assert flagged.outputs["y"].tobytes() == unflagged.outputs["y"].tobytes() == values(kinds).tobytes()
    bare = sum(kind in BARE for kind in kinds)
    assert (flagged.profile.spared.writes, unflagged.profile.spared.writes) == (bare, 0)
    stored = (len(kinds) - bare) * PAGE_BYTES
    assert traffic(flagged.profile, 0) == (0, stored + len(kinds) * FLAG_WORD)
    assert traffic(flagged.profile, 1) == (stored + sum(senses) * FLAG_WORD, 0)


def test_who_has_not_sensed_finds_no_flags() -> None:
    """The page travels in full to the core, and from there on as well; the flags of the round before are forgotten."""
    kinds = ["negative", "negative"]
    read = (*sensed(0), *plain(1))
    relay = Relay(MACHINE)
    relay.start(2)
    relay.compute(kinds)
    relay.dram("z", DType.F32, (32, 64), Role.INPUT)
    page = Affine(0, (1,))
    gated = (ins.Wait(0, 1), ins.Probe(0, 0, ZERO), ins.Pop(0, 1), ins.Reserve(1, 1), ins.Read(1, ZERO, 3, page, 0, 0))
    write = (*gated, ins.Barrier(), ins.Push(1, 1), ins.Wait(1, 1), ins.Write(1, ZERO, 2, page, 1), ins.Barrier())
    relay.epoch([Program(FAR, [ring(0, 1), ring(1, 1)], read, seq(ins.Loop(2), *write, ins.Pop(1, 1), ins.End()))])
    z = np.concatenate([tile(1.0), tile(2.0)], axis=1)
    found = run(relay.image(), {"x": values(kinds), "z": z})
    assert same(found.outputs["y"], np.concatenate([tile(0.0), tile(2.0)], axis=1))


def test_the_words_lie_behind_the_pages() -> None:
    """A tensor that begins where the words end is not touched, nor are they by it."""
    pages = 2 * len(CHANNELS) + 1
    kinds = ["zero", "live", "dead"] * pages
    kinds = kinds[:pages]
    relay = Relay(MACHINE)
    relay.start(pages)
    size = channel_bytes(MACHINE, DType.F32, pages, True)
    assert size == 3 * (PAGE_BYTES + FLAG_WORD)
    for number, tensor in enumerate(relay.tensors):
        base = 0 if number == 1 else size + (1 << 20) * number
        relay.tensors[number] = replace(tensor, place=DramPlace(size if number == 2 else base))
    relay.compute(kinds)
    relay.copy(one_by_one(kinds), pages)
    found = run(relay.image(), {"x": values(kinds)})
    assert found.outputs["y"].tobytes() == values(kinds).tobytes()


def test_a_page_that_is_not_stored_is_sensed_as_zero() -> None:
    relay = Relay(MACHINE)
    relay.start(2)
    relay.tensors[1] = replace(relay.tensors[1], live=TileMask.of(np.array([[True, False]])))
    relay.compute(["live", ""])
    relay.copy((*sensed(0), *sensed(1)), 2)
    found = run(relay.image(), {"x": values(["live", "live"])})
    assert found.outputs["y"].tobytes() == values(["live", "zero"]).tobytes()
    assert found.profile.spared == Spared(reads=1, payload_bytes=0)


def rewritten(kinds: Sequence[str], read: Sequence[ins.Instruction]) -> RunResult:
    """One page, written once per epoch."""
    relay = Relay(MACHINE)
    relay.start(len(kinds))
    for number in range(len(kinds)):
        fetch = ins.Read(0, ZERO, 0, Affine(number), 0, 0 if kinds[number] == "dead" else -1)
        load = (ins.Reserve(0, 1), fetch, ins.Barrier(), ins.Push(0, 1))
        store = (ins.Wait(1, 1), ins.Write(1, ZERO, 1, ZERO, 1), ins.Barrier(), ins.Pop(1, 1))
        relay.epoch([Program(NEAR, [ring(0, 1), ring(1, 1)], load, store, copied(0, 1))])
    relay.tensors[2] = replace(relay.tensors[2], shape=(32, 32))
    relay.copy(read, 1)
    return run(relay.image(), {"x": values(kinds)})


@pytest.mark.parametrize("last", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_the_last_write_counts(first: str, last: str) -> None:
    assert rewritten([first, last], sensed(0)).outputs["y"].tobytes() == values([last]).tobytes()


@pytest.mark.parametrize("kind", BARE)
def test_what_is_not_stored_is_not_read_in_full(kind: str) -> None:
    """Not even where an earlier page was stored."""
    for kinds in ([kind], ["live", kind]):
        with pytest.raises(UninitializedRead, match="never written"):
            rewritten(kinds, plain(0))
    assert same(rewritten([kind, "live"], plain(0)).outputs["y"], values(["live"]))


def test_a_page_without_flags_is_not_sensed() -> None:
    with pytest.raises(UninitializedRead, match="never written"):
        relayed(["live", ""], (*sensed(0), *sensed(1)))


START = (ins.Reserve(0, 1), ins.Sense(0, ZERO, 1, ZERO, 0), ins.Barrier())
FINISH = (ins.Barrier(), ins.Push(0, 1))


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ((START[0], START[1], ins.Read(0, ZERO, 1, ZERO, 0), *FINISH), "page 0 of `t` is read while its flags are"),
        ((*START, *FINISH), "is pushed; it was sensed, but not read since"),
        ((*START, ins.Read(0, ZERO, 1, ONE, 0), *FINISH), "page 1 of `t` is read with flags that are not its own"),
        ((START[0], START[1], *FINISH[1:]), "is pushed; it was sensed, but not read since"),
        ((*START, ins.Read(0, ZERO, 0, ZERO, 0), ins.Barrier(), *START[1:], *FINISH), "it was sensed, but not read"),
    ],
)
@pytest.mark.parametrize("kinds", [("zero", "live"), ("live", "zero")])
def test_misuse_is_a_fault(kinds: tuple[str, str], read: tuple[ins.Instruction, ...], message: str) -> None:
    with pytest.raises(SoftwareFault, match=message):
        relayed(kinds, (*read, *sensed(1)))


def test_flags_serve_one_read() -> None:
    """The next one of the same page, in full, finds nothing."""
    read = (*START, ins.Read(0, ZERO, 1, ZERO, 0), ins.Read(0, ZERO, 1, ZERO, 0), *FINISH)
    with pytest.raises(UninitializedRead):
        relayed(["zero"], read)
    assert same(relayed(["live"], read).outputs["y"], values(["live"]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_sensed_travels_on_as_a_header(kind: str) -> None:
    """A core passes the page on to its neighbour, which finds its flags as well."""
    relay = Relay(MACHINE)
    relay.start(1)
    relay.compute([kind])
    relay.dram("z", DType.F32, (32, 32), Role.INPUT)
    sender, receiver = 0, 1
    send = (ins.Multicast(0, ZERO, 1, 0, 0), ins.SemInc(ZERO, 0, 1, 0), ins.Barrier(), ins.Push(0, 1))
    ready = (ins.SemInc(ONE, 1, 1, 0), ins.SemWait(ZERO, 1), ins.Push(0, 1), ins.Barrier())
    first = seq(*sensed(0)[:-1], ins.SemWait(ONE, 1), *send)
    gated = (ins.Wait(0, 1), ins.Probe(2, 0, ZERO), ins.Pop(0, 1), ins.Reserve(1, 1), ins.Read(1, ZERO, 3, ZERO, 0, 2))
    write = (*gated, ins.Barrier(), ins.Push(1, 1), ins.Wait(1, 1), ins.Write(1, ZERO, 2, ZERO, 1), ins.Barrier())
    rings = [ring(0, 1), ring(1, 1)]
    programs = [
        Program(sender, rings, first, seq(ins.Wait(0, 1), ins.Pop(0, 1))),
        Program(receiver, rings, seq(ins.Reserve(0, 1), *ready), seq(*write, ins.Pop(1, 1))),
    ]
    relay.epoch(programs, [CoreSet((sender, receiver), True), CoreSet((sender,), False)])
    found = run(relay.image(), {"x": values([kind]), "z": tile(5.0)})
    assert found.profile.epochs[1].spared.headers == (kind in BARE)
    assert same(found.outputs["y"], tile(0.0 if kind in (*BARE, "negative") else 5.0))
