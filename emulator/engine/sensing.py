"""Flags in DRAM: who asks for them, and what is not moved because of them.

What was sensed holds for the next read to the same page of the cb, and is compared with what DRAM keeps of the page
that is read: flags that are of another page, or stale, stop the run. So do flags that are still on their way, and a
page that is pushed although nothing was read to it since it was sensed.

Approximations, one sentence each:

- a word of flags lands beside the page without taking room of L1;
- a core puts zeros into a page that it does not read at no cost but that of the look.
"""

from emulator.engine import columns as c
from emulator.engine.events import schedule
from emulator.engine.flags import WORD, flags_at, set_flags
from emulator.engine.memory import mark, page_memory
from emulator.engine.native import inlined, jit
from emulator.engine.state import State, stop
from emulator.engine.transfers import find_route, flits_of, read_bytes, take_packet, write_page
from emulator.engine.views import fill_bytes


@jit
def ask_flags(s: State, now: int, thread: int, noc: int, tensor: int, page: int, target: int) -> int:
    """Ask for the flags of a page, for the page at byte `target` of `l1`; return the cycles of issue."""
    place = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page]
    if place[c.FLAG_MEMORY] < 0:
        stop(s, c.FAULT_UNREACHABLE, thread, tensor, page, 0)
        return 0
    own = s.position[thread // 3]
    node = own if place[c.NODE] == c.NOT_STORED else place[c.NODE]
    row = take_packet(s, c.READ_REQUEST, thread, noc, own, node, 0)
    s.packets[row, c.SIZE] = WORD
    s.packets[row, c.SOURCE_MEMORY] = place[c.FLAG_MEMORY]
    s.packets[row, c.TARGET_MEMORY] = target
    s.packets[row, c.SOURCE_CHANNEL] = place[c.CHANNEL]
    s.packets[row, c.GRAIN] = tensor
    s.packets[row, c.WITHIN] = c.FLAGS_ALONE
    s.threads[thread, c.OUTSTANDING] += 1
    set_flags(s, target, c.SENSING)
    issue: int = s.constants[c.READ_ISSUE]
    schedule(s, now + issue, c.INJECTED, row, 0)
    return issue


@inlined
def _kept_flags(s: State, tensor: int, page: int) -> int:
    """What the word of a page says."""
    place = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page]
    word: int = s.dram[place[c.FLAG_MEMORY]] if place[c.CHANNEL] >= 0 else flags_at(s, place[c.FLAG_MEMORY])
    return word


@jit
def may_read(s: State, thread: int, tensor: int, page: int, target: int) -> bool:
    """Whether the flags at byte `target` of `l1` are none that are on their way, nor any of another page than this one
    of a flagged tensor; stop the run if they are."""
    flags = flags_at(s, target)
    if flags & c.SENSING:
        stop(s, c.FAULT_SENSING, thread, tensor, page, 0)
        return False
    if flags & c.SENSED and flags & c.OF_CONTENT != _kept_flags(s, tensor, page):
        stop(s, c.FAULT_SENSED, thread, tensor, page, 0)
        return False
    return True


@jit
def read_sensed(s: State, now: int, thread: int, noc: int, tensor: int, page: int, target: int) -> int:
    """Read a page whose flags were sensed, unless they say what it holds; return the cycles that takes the thread."""
    flags = flags_at(s, target) & c.OF_CONTENT
    set_flags(s, target, flags)
    size, look = s.tensors[tensor, c.TENSOR_PAGE_BYTES], s.constants[c.FLAG_CHECK]
    if flags & c.BARE == 0:
        count = read_bytes(s, now + look, thread, noc, tensor, page, 0, size, target, False)
        cycles: int = look + count * s.constants[c.READ_ISSUE]
        return cycles
    fill_bytes(s.l1, target, size, 0)
    mark(s.l1_written, target, size, 1)
    s.control[c.LEFT_READS] += 1
    node = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page, c.NODE]
    if node >= 0:
        _count_spared(s, thread, noc, node, s.position[thread // 3], size)
    return look


@jit
def write_flagged(s: State, now: int, thread: int, noc: int, tensor: int, page: int, source: int) -> int:
    """Write the flags of the page at byte `source` of `l1`, behind the page itself unless they say what it holds;
    return the cycles of issue."""
    place = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page]
    own, look, size = s.position[thread // 3], s.constants[c.FLAG_CHECK], s.tensors[tensor, c.TENSOR_PAGE_BYTES]
    if place[c.NODE] < 0:
        stop(s, c.FAULT_UNREACHABLE, thread, tensor, page, 0)
        return 0
    count = 1
    if flags_at(s, source) & c.BARE:
        s.control[c.LEFT_WRITES] += 1
        _count_spared(s, thread, noc, own, place[c.NODE], size)
    else:
        count += write_page(s, now + look, thread, noc, tensor, page, source)
    row = take_packet(s, c.WRITE_DRAM, thread, noc, own, place[c.NODE], WORD)
    s.packets[row, c.SOURCE_MEMORY] = source
    s.packets[row, c.TARGET_MEMORY] = place[c.FLAG_MEMORY]
    s.packets[row, c.SOURCE_CHANNEL] = place[c.CHANNEL]
    s.packets[row, c.GRAIN] = tensor
    s.packets[row, c.WITHIN] = c.FLAGS_ALONE
    s.packets[row, c.OF_PAGE] = place[c.MEMORY]
    s.threads[thread, c.OUTSTANDING] += 1
    issue: int = look + count * s.constants[c.WRITE_ISSUE]
    schedule(s, now + issue, c.INJECTED, row, 0)
    return issue


@jit
def _count_spared(s: State, thread: int, noc: int, src: int, dst: int, size: int) -> None:
    """Count `size` bytes that were not moved, and the crossings of links that their flits would have taken."""
    s.control[c.SPARED_BYTES] += size
    crossing = find_route(s, thread, noc, src, dst)
    while crossing >= 0:
        s.control[c.SPARED_CROSSINGS] += flits_of(s, size) - 1
        crossing = s.trees[crossing, c.CHILD]


@jit
def all_read(s: State, thread: int, buffer: int, pages: int) -> bool:
    """Whether none of the next pages to push was sensed and not read since; stop the run if one was."""
    for page in range(pages):
        if flags_at(s, page_memory(s, buffer, s.buffers[buffer, c.WRITTEN_TO], page)) & (c.SENSED | c.SENSING):
            stop(s, c.FAULT_UNREAD, thread, buffer, page, 0)
            return False
    return True
