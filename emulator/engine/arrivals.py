"""What packets do at the two ends of their way.

Approximations, one sentence each:

- the fixed part of a round trip (`read_overhead`, `write_overhead`) is spent at the far end, before the answer or the
  acknowledgement leaves;
- a DRAM channel serves requests in the order of arrival, at its sustained rate, whatever the addresses;
- the NIU reads the payload of a write from L1 when it takes the command, not when the packet's head leaves.
"""

from emulator.engine import columns as c
from emulator.engine.events import schedule
from emulator.engine.flags import give_flags, give_word, is_bare_answer, store_word, take_flags, take_word
from emulator.engine.memory import check_dram, check_l1, mark
from emulator.engine.native import inlined, jit
from emulator.engine.network import inject
from emulator.engine.record import log_amount, log_arrival
from emulator.engine.state import State
from emulator.engine.transfers import UNICAST, find_route, flits_of, free_packet, path_row, spare, take_packet
from emulator.engine.views import copy_bytes
from emulator.engine.waking import is_blocked, semaphore_changed, wake


@jit
def leave(s: State, time: int, row: int) -> None:
    """The source NIU takes packet `row`: its payload is read, and it goes on its way."""
    packet = s.packets[row]
    kind, size = packet[c.KIND], packet[c.SIZE]
    packet[c.SENT] = time
    if kind != c.READ_ANSWER and kind != c.ACKNOWLEDGE:
        packet[c.ISSUED] = time
    slot = row * s.constants[c.PACKET_BYTES]
    if kind == c.READ_ANSWER and packet[c.SOURCE_CHANNEL] >= 0:
        if check_dram(s, packet[c.THREAD], packet[c.SOURCE_MEMORY], size):
            copy_bytes(s.payload, slot, s.dram, packet[c.SOURCE_MEMORY], size)
    elif (kind == c.READ_ANSWER or kind == c.WRITE_DRAM or kind == c.WRITE_L1) and check_l1(
        s, packet[c.THREAD], packet[c.SOURCE_MEMORY], size
    ):
        copy_bytes(s.payload, slot, s.l1, packet[c.SOURCE_MEMORY], size)  # of a bare page too: they are all 0
    if s.constants[c.FLAGS]:
        if packet[c.WITHIN] == c.FLAGS_ALONE:
            take_word(s, row)
        elif kind == c.READ_ANSWER or kind == c.WRITE_L1:
            take_flags(s, row)
    inject(s, time, row)


@jit
def _turn_round(s: State, time: int, row: int, kind: int, size: int) -> None:
    packet = s.packets[row]
    packet[c.KIND] = kind
    packet[c.SRC], packet[c.DST] = packet[c.DST], packet[c.SRC]
    packet[c.PACKET_FLITS] = flits_of(s, size)
    packet[c.SPARED] = 0
    packet[c.CORE_SET] = UNICAST
    packet[c.ROOT] = find_route(s, packet[c.THREAD], packet[c.NETWORK], packet[c.SRC], packet[c.DST])
    schedule(s, time, c.INJECTED, row, 0)


@jit
def _serve_channel(s: State, time: int, channel: int, size: int) -> int:
    """Occupy a DRAM channel for `size` bytes; return when the service begins."""
    start: int = max(time, s.channels[channel, c.FREE_AT])
    s.channels[channel, c.FREE_AT] = start + channel_cycles(s, size)
    s.channels[channel, c.REQUESTS] += 1
    log_amount(s, c.LOG_CHANNEL, start, s.channels[channel, c.FREE_AT], channel, size)
    return start


@inlined
def channel_cycles(s: State, size: int) -> int:
    """Cycles that a DRAM channel is busy with `size` bytes."""
    rate = s.constants[c.CHANNEL_MILLIBYTES]
    cycles: int = max((1000 * size + rate - 1) // rate, s.constants[c.DRAM_SPACING])
    return cycles


@jit
def _answer(s: State, time: int, row: int) -> None:
    size, channel = s.packets[row, c.SIZE], s.packets[row, c.SOURCE_CHANNEL]
    ready = time + s.constants[c.READ_OVERHEAD]
    if channel >= 0:
        service = channel_cycles(s, size)
        ready += _serve_channel(s, time, channel, size) - time + s.constants[c.DRAM_ACCESS]
        # The tail cannot leave before the channel has delivered the last byte.
        ready += max(0, service - flits_of(s, size))
        s.channels[channel, c.READ_BYTES] += size
    _turn_round(s, ready, row, c.READ_ANSWER, size)
    if is_bare_answer(s, row):
        spare(s, row)
    else:
        s.streams[s.packets[row, c.GRAIN], c.STREAM_READ] += size


@jit
def _store_dram(s: State, time: int, row: int) -> None:
    packet = s.packets[row]
    size, channel = packet[c.SIZE], packet[c.SOURCE_CHANNEL]
    copy_bytes(s.dram, packet[c.TARGET_MEMORY], s.payload, row * s.constants[c.PACKET_BYTES], size)
    mark(s.dram_written, packet[c.TARGET_MEMORY], size, 1)
    if packet[c.WITHIN] == c.FLAGS_ALONE:
        store_word(s, row)
    start = _serve_channel(s, time, channel, size)
    done = start + channel_cycles(s, size) + s.constants[c.DRAM_ACCESS]
    s.channels[channel, c.WRITE_BYTES] += size
    s.streams[packet[c.GRAIN], c.STREAM_WRITTEN] += size
    _turn_round(s, done + s.constants[c.WRITE_OVERHEAD], row, c.ACKNOWLEDGE, 0)


@jit
def _complete(s: State, time: int, row: int) -> None:
    thread = s.packets[row, c.THREAD]
    free_packet(s, row)
    s.threads[thread, c.OUTSTANDING] -= 1
    if s.threads[thread, c.OUTSTANDING] == 0 and is_blocked(s, thread, c.WAIT_BARRIER):
        wake(s, time, thread, thread, s.packets[row, c.ISSUED], s.packets[row, c.GRAIN])


@jit
def _delivered(s: State, time: int, packet: int, core: int) -> None:
    thread = s.packets[packet, c.THREAD]
    s.unordered[path_row(s, thread, s.packets[packet, c.NETWORK], core), c.UNDER_WAY] -= 1
    if is_blocked(s, thread, c.WAIT_ORDER):
        wake(s, time, thread, thread, s.packets[packet, c.ISSUED], -1)


@jit
def _deliver(s: State, time: int, row: int, core: int) -> None:
    """A write or an increment reaches `core`."""
    packet = s.packets[row]
    if packet[c.KIND] == c.INCREMENT:
        s.semaphores[core * s.constants[c.SEMAPHORES] + packet[c.SEM]] += packet[c.AMOUNT]
        semaphore_changed(s, time, core, packet[c.SEM], packet[c.THREAD], packet[c.ISSUED])
    else:
        l1_bytes = s.constants[c.L1_BYTES]
        target = packet[c.SOURCE_MEMORY] % l1_bytes + core * l1_bytes
        copy_bytes(s.l1, target, s.payload, row * s.constants[c.PACKET_BYTES], packet[c.SIZE])
        mark(s.l1_written, target, packet[c.SIZE], 1)
        give_flags(s, row, target)
    _delivered(s, time, row, core)


@jit
def _take_copy(s: State, time: int, row: int, core: int) -> None:
    """A copy of a multicast packet reaches `core`, which acknowledges with a packet of its own."""
    _deliver(s, time, row, core)
    packet = s.packets[row]
    answer = take_packet(
        s, c.ACKNOWLEDGE, packet[c.THREAD], packet[c.NETWORK], s.position[core], s.packets[row, c.SRC], 0
    )
    s.packets[answer, c.ISSUED] = s.packets[row, c.ISSUED]
    schedule(s, time + s.constants[c.WRITE_OVERHEAD], c.INJECTED, answer, 0)
    s.packets[row, c.COPIES] -= 1
    if s.packets[row, c.COPIES] == 0:
        free_packet(s, row)


@inlined
def _take_answer(s: State, row: int) -> None:
    """What was read is in L1: bytes of a page, or the word that flags one."""
    target, size, within = s.packets[row, c.TARGET_MEMORY], s.packets[row, c.SIZE], s.packets[row, c.WITHIN]
    if within == c.FLAGS_ALONE:
        give_word(s, row)
        return
    copy_bytes(s.l1, target, s.payload, row * s.constants[c.PACKET_BYTES], size)
    mark(s.l1_written, target, size, 1)
    if within >= 0:
        give_flags(s, row, target)


@jit
def arrive(s: State, time: int, row: int, core: int) -> None:
    """The tail of packet `row` is in the NIU of its destination (of `core`, for a multicast)."""
    kind = s.packets[row, c.KIND]
    log_arrival(s, time, row, s.position[core] if core >= 0 else s.packets[row, c.DST])
    if core >= 0:
        _take_copy(s, time, row, core)
    elif kind == c.READ_REQUEST:
        _answer(s, time, row)
    elif kind == c.READ_ANSWER:
        _take_answer(s, row)
        _complete(s, time, row)
    elif kind == c.WRITE_DRAM:
        _store_dram(s, time, row)
    elif kind == c.ACKNOWLEDGE:
        _complete(s, time, row)
    else:
        _deliver(s, time, row, s.packets[row, c.TARGET_CORE])
        _turn_round(s, time + s.constants[c.WRITE_OVERHEAD], row, c.ACKNOWLEDGE, 0)
