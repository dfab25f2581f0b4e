"""Flags of pages: where they lie, and how they travel.

The flags of a page lie in `l1_flags` at the first granule of its bytes, so that whoever reaches the bytes reaches the
flags. They are kept only if some instruction of the image looks at them; otherwise no page has any.

Flags in DRAM are a word beside each page of a flagged tensor. `emulator.engine.sensing` says who looks at it; here it
is put into packets and taken from them.

A page flagged zero may hold -0, which a header cannot tell from +0 and which a division does: so a header stands only
for a page without a set bit. Dead pages are such pages.
"""

from compiler.program.instructions import FLAG_WORD
from emulator.engine import columns as c
from emulator.engine.memory import mark
from emulator.engine.native import inlined, jit
from emulator.engine.state import State
from emulator.engine.views import copy_bytes, fill_bytes

WORD: int = FLAG_WORD

NOBODY_LOOKS: int = c.DEAD | c.ZERO | c.FINITE | c.BARE
"""The flags of a dead page."""


@inlined
def flags_at(s: State, memory: int) -> int:
    """The flags of the page at byte `memory` of `l1`."""
    flags: int = s.l1_flags[memory // c.GRANULE]
    return flags


@inlined
def set_flags(s: State, memory: int, flags: int) -> None:
    """Flag the page at byte `memory` of `l1`."""
    s.l1_flags[memory // c.GRANULE] = flags


@inlined
def is_bare(s: State, memory: int) -> bool:
    """Whether a header can stand for the page at byte `memory` of `l1`."""
    result: bool = s.constants[c.FLAGS] != 0 and flags_at(s, memory) & c.BARE != 0
    return result


@jit
def kill_page(s: State, memory: int, size: int) -> None:
    """Make a page of `size` bytes dead: it holds zeros."""
    fill_bytes(s.l1, memory, size, 0)
    mark(s.l1_written, memory, size, 1)
    set_flags(s, memory, NOBODY_LOOKS)


@jit
def is_bare_answer(s: State, row: int) -> bool:
    """Whether packet `row` answers the read of a page in L1 for which a header can stand."""
    packet = s.packets[row]
    within = packet[c.WITHIN]
    return packet[c.SOURCE_CHANNEL] < 0 and within >= 0 and is_bare(s, packet[c.SOURCE_MEMORY] - within)


@inlined
def _granules(size: int) -> int:
    return (size + c.GRANULE - 1) // c.GRANULE


@inlined
def _slot(s: State, row: int) -> int:
    slot: int = row * (s.constants[c.PACKET_BYTES] // c.GRANULE)
    return slot


@jit
def take_flags(s: State, row: int) -> None:
    """Let the flags of the pages in the payload of packet `row` travel with it; pages in DRAM have none."""
    packet = s.packets[row]
    if packet[c.SOURCE_CHANNEL] >= 0:
        fill_bytes(s.payload_flags, _slot(s, row), _granules(packet[c.SIZE]), 0)
    else:
        first = packet[c.SOURCE_MEMORY] // c.GRANULE
        copy_bytes(s.payload_flags, _slot(s, row), s.l1_flags, first, _granules(packet[c.SIZE]))


@jit
def give_flags(s: State, row: int, target: int) -> None:
    """Flag the pages that packet `row` brings to byte `target` of `l1`."""
    if s.constants[c.FLAGS]:
        first = target // c.GRANULE
        copy_bytes(s.l1_flags, first, s.payload_flags, _slot(s, row), _granules(s.packets[row, c.SIZE]))


@jit
def take_word(s: State, row: int) -> None:
    """Make the payload of packet `row`, if it carries a word of flags out of L1, that of the page it is about. A word
    out of DRAM is its payload already."""
    packet = s.packets[row]
    if packet[c.KIND] == c.WRITE_DRAM or (packet[c.KIND] == c.READ_ANSWER and packet[c.SOURCE_CHANNEL] < 0):
        slot = row * s.constants[c.PACKET_BYTES]
        fill_bytes(s.payload, slot, WORD, 0)
        s.payload[slot] = flags_at(s, packet[c.SOURCE_MEMORY]) & c.OF_CONTENT


@jit
def store_word(s: State, row: int) -> None:
    """Packet `row`, a word of flags, is in DRAM: what it stands for is no longer there."""
    packet = s.packets[row]
    if s.payload[row * s.constants[c.PACKET_BYTES]] & c.BARE:
        mark(s.dram_written, packet[c.OF_PAGE], s.tensors[packet[c.GRAIN], c.TENSOR_PAGE_BYTES], 0)


@jit
def give_word(s: State, row: int) -> None:
    """Flag the page of a cb for which packet `row` brings a word of flags."""
    word = s.payload[row * s.constants[c.PACKET_BYTES]]
    set_flags(s, s.packets[row, c.TARGET_MEMORY], word | c.SENSED)
