"""The networks: packets that occupy NIU ports and links, one event per crossing.

`inject` takes a packet; the event `ARRIVED` gives it back, once per destination. Nothing else of the emulator knows
how packets move. Approximations, one sentence each:

- a link, an injection port and an ejection port serve one packet at a time, in the order in which heads arrive, for as
  many cycles as it has flits; virtual channels do not interleave;
- router buffers are unbounded: a packet that waits for a link holds up nothing behind it on earlier links;
- the gaps between packets at a source NIU are those of largest packets, in proportion for shorter ones;
- a branch of a multicast tree goes on as soon as its own link is free, without waiting for its siblings.
"""

from emulator.engine import columns as c
from emulator.engine.events import is_next, schedule
from emulator.engine.native import inlined, jit
from emulator.engine.record import log_amount
from emulator.engine.state import State


@inlined
def occupy(s: State, resource: int, time: int, duration: int, flits: int) -> int:
    """Take `resource` for `duration` from `time`, or from when it is free; return when that is."""
    start: int = max(time, s.resources[resource, c.FREE_AT])
    s.resources[resource, c.FREE_AT] = start + duration
    s.resources[resource, c.FLITS] += flits
    return start


@inlined
def _port(s: State, base: int, packet: int, column: int) -> int:
    noc, position = s.packets[packet, c.NETWORK], s.packets[packet, column]
    row: int = s.constants[base] + noc * s.constants[c.POSITIONS] + position
    return row


@jit
def inject(s: State, time: int, packet: int) -> None:
    """Send `packet` from its source NIU, not before `time`."""
    flits = s.packets[packet, c.PACKET_FLITS]
    gap = s.constants[c.PACKET_GAP]
    if s.packets[packet, c.KIND] == c.READ_ANSWER:
        gap = s.constants[c.READ_PACKET_GAP]
    gap = gap * (flits - 1) // s.constants[c.PAYLOAD_FLITS]
    start = occupy(s, _port(s, c.FIRST_INJECT, packet, c.SRC), time, flits + gap, flits)
    root = s.packets[packet, c.ROOT]
    head = start + s.constants[c.NIU]
    if root < 0:
        schedule(s, head, c.EJECTED, packet, -1)
        return
    while root >= 0:
        schedule(s, head, c.CROSSED, packet, root)
        root = s.trees[root, c.SIBLING]


@jit
def cross(s: State, time: int, packet: int, crossing: int) -> None:
    """Move the head of `packet` over `crossing`, and on while nothing else happens in between."""
    flits = s.packets[packet, c.PACKET_FLITS]
    spared = s.packets[packet, c.SPARED]
    hop = s.constants[c.HOP]
    tree = s.packets[packet, c.CORE_SET] >= 0
    while True:
        link = s.trees[crossing, c.LINK]
        head = occupy(s, link, time, flits, flits) + hop
        log_amount(s, c.LOG_LINK, head - hop, head - hop + flits, link, flits)
        if spared > 0:
            s.control[c.SPARED_CROSSINGS] += spared
        child = s.trees[crossing, c.CHILD]
        if tree and s.trees[crossing, c.MEMBER] >= 0:
            schedule(s, head, c.EJECTED, packet, s.trees[crossing, c.MEMBER])
        if child < 0:
            if not tree:
                schedule(s, head, c.EJECTED, packet, -1)
            return
        sibling = s.trees[child, c.SIBLING]
        while sibling >= 0:
            schedule(s, head, c.CROSSED, packet, sibling)
            sibling = s.trees[sibling, c.SIBLING]
        if not is_next(s, head):
            schedule(s, head, c.CROSSED, packet, child)
            return
        s.control[c.EVENTS] += 1
        time, crossing = head, child


@jit
def eject(s: State, time: int, packet: int, core: int) -> None:
    """Take `packet` out of the network through the ejection port of its destination (of `core`, in a multicast)."""
    flits = s.packets[packet, c.PACKET_FLITS]
    position = s.packets[packet, c.DST] if core < 0 else s.position[core]
    noc = s.packets[packet, c.NETWORK]
    port = s.constants[c.FIRST_EJECT] + noc * s.constants[c.POSITIONS] + position
    start = occupy(s, port, time, flits, flits)
    schedule(s, start + s.constants[c.NIU] + flits - 1, c.ARRIVED, packet, core)
