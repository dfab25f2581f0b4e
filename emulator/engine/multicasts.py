"""`Multicast`: which packets it takes.

Approximation: the flags of the pages in a packet ride in its header; a page for which a header can stand goes alone.
"""

from emulator.engine import columns as c
from emulator.engine.flags import is_bare
from emulator.engine.memory import page_memory, produced_page
from emulator.engine.native import jit
from emulator.engine.state import State, evaluate
from emulator.engine.transfers import may_send, multicast_bytes, reserve_tree, tree_depth, unicast_bytes
from emulator.engine.waking import AGAIN


@jit
def pages_together(s: State, buffer: int, offset: int, pages: int) -> int:
    """How many of `pages` reserved pages, from page `offset` on, are sent as one range: those up to the end of the ring
    and to the next page for which a header can stand, or such a page alone."""
    row = s.buffers[buffer]
    first = page_memory(s, buffer, row[c.WRITTEN_TO], offset)
    if is_bare(s, first):
        return 1
    count = 1
    while count < pages:
        memory = page_memory(s, buffer, row[c.WRITTEN_TO], offset + count)
        if memory < first or is_bare(s, memory):
            break
        count += 1
    return count


@jit
def multicast_flits(s: State, buffer: int, offset: int, pages: int) -> int:
    """Flits of `pages` reserved pages: headers, and the payload of those for which none stands."""
    bare = 0
    for page in range(offset, offset + pages):
        if is_bare(s, page_memory(s, buffer, s.buffers[buffer, c.WRITTEN_TO], page)):
            bare += 1
    payload = (pages - bare) * s.buffers[buffer, c.PAGE_BYTES]
    flits: int = (payload + s.constants[c.FLIT_BYTES] - 1) // s.constants[c.FLIT_BYTES]
    return flits + (payload + s.constants[c.PACKET_BYTES] - 1) // s.constants[c.PACKET_BYTES] + bare


@jit
def multicast(s: State, now: int, thread: int, i: int) -> int:
    """See `Multicast`. The pages go as one range, or as several where the ring wraps or a header stands for a page."""
    code = s.code[i]
    buffer, targets, noc = s.first_buffer[thread // 3] + code[c.A], code[c.A + 3], code[c.A + 4]
    pages = code[c.A + 2] + s.threads[thread, code[c.A + 5]]
    if pages <= 0:
        return now
    offset = evaluate(s, code[c.A + 1], thread)
    if produced_page(s, thread, buffer, offset) < 0 or produced_page(s, thread, buffer, offset + pages - 1) < 0:
        return AGAIN
    if not may_send(s, now, thread, noc, targets):
        return AGAIN
    if s.sets[targets, c.TREE]:
        return multicast_by_tree(s, now, thread, noc, targets, buffer, offset, pages)
    size = s.buffers[buffer, c.PAGE_BYTES]
    first = s.sets[targets, c.FIRST_MEMBER]
    issued = 0
    for m in range(first, first + s.sets[targets, c.MEMBERS]):
        done = 0
        while done < pages:
            source = page_memory(s, buffer, s.buffers[buffer, c.WRITTEN_TO], offset + done)
            count = pages_together(s, buffer, offset + done, pages - done)
            bare = is_bare(s, source)
            issued += unicast_bytes(s, now, thread, noc, s.members[m], source, count * size, bare, issued)
            done += count
    return now + issued * s.constants[c.WRITE_ISSUE]


@jit
def multicast_by_tree(
    s: State, now: int, thread: int, noc: int, targets: int, buffer: int, offset: int, pages: int
) -> int:
    """Send reserved pages over a tree; return when the thread can go on, or `AGAIN` when the run is stopped."""
    depth = tree_depth(s, thread, noc, targets)
    if depth < 0:
        return AGAIN
    size, issue = s.buffers[buffer, c.PAGE_BYTES], s.constants[c.WRITE_ISSUE]
    leaves = reserve_tree(s, now + issue, thread, noc, depth, multicast_flits(s, buffer, offset, pages))
    issued = 0
    done = 0
    while done < pages:
        source = page_memory(s, buffer, s.buffers[buffer, c.WRITTEN_TO], offset + done)
        count = pages_together(s, buffer, offset + done, pages - done)
        bare, time = is_bare(s, source), now + issued * issue
        issued += multicast_bytes(s, time, thread, noc, targets, source, count * size, bare, leaves)
        done += count
    return now + issued * issue
