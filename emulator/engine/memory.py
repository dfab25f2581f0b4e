"""Bytes of L1 and DRAM, and which of them have been written.

What has been written is kept per `GRANULE` bytes, so a read of a few unwritten bytes beside written ones is not seen.
"""

from emulator.engine import columns as c
from emulator.engine.native import inlined, jit
from emulator.engine.state import Bytes, State, stop
from emulator.engine.views import fill_bytes


@inlined
def mark(written: Bytes, start: int, size: int, value: int) -> None:
    """Record that the granules of `[start, start + size)` are written (1) or no longer valid (0)."""
    first = start // c.GRANULE
    fill_bytes(written, first, (start + size + c.GRANULE - 1) // c.GRANULE - first, value)


@inlined
def first_unwritten(written: Bytes, start: int, size: int) -> int:
    """The first byte of `[start, start + size)` that was never written (in whole granules), or -1."""
    first = start // c.GRANULE
    last = (start + size + c.GRANULE - 1) // c.GRANULE
    count = 0
    for granule in range(first, last):
        count += written[granule]
    if count == last - first:
        return -1
    while written[first]:
        first += 1
    return first * c.GRANULE


@jit
def check_l1(s: State, thread: int, start: int, size: int) -> bool:
    """Whether `[start, start + size)` of `l1` lies in one core's memory and has been written; stop the run if not."""
    l1_bytes = s.constants[c.L1_BYTES]
    core = start // l1_bytes
    if start < 0 or (start + size - 1) // l1_bytes != core:
        stop(s, c.FAULT_L1_RANGE, thread, start, size, 0)
        return False
    hole = first_unwritten(s.l1_written, start, size)
    if hole >= 0:
        stop(s, c.FAULT_L1_UNWRITTEN, thread, core, hole - core * l1_bytes, 0)
    return hole < 0


@jit
def check_dram(s: State, thread: int, start: int, size: int) -> bool:
    """Whether `[start, start + size)` of `dram` has been written; stop the run if not."""
    hole = first_unwritten(s.dram_written, start, size)
    if hole >= 0:
        stride = s.constants[c.DRAM_STRIDE]
        stop(s, c.FAULT_DRAM_UNWRITTEN, thread, hole // stride, hole % stride, 0)
    return hole < 0


@inlined
def page_memory(s: State, buffer: int, first: int, offset: int) -> int:
    """Byte offset in `l1` of the page `offset` after page `first` of the ring of row `buffer`."""
    page = (first + offset) % s.buffers[buffer, c.CAPACITY]
    memory: int = s.buffers[buffer, c.ADDRESS] + page * s.buffers[buffer, c.PAGE_BYTES]
    return memory


@jit
def produced_page(s: State, thread: int, buffer: int, offset: int) -> int:
    """Byte offset in `l1` of a page that the producer may write, -1 (and a stop) if it was not reserved."""
    if offset < 0 or offset >= s.buffers[buffer, c.RESERVED]:
        stop(s, c.FAULT_NOT_RESERVED, thread, buffer, offset, s.buffers[buffer, c.RESERVED])
        return -1
    return page_memory(s, buffer, s.buffers[buffer, c.WRITTEN_TO], offset)


@jit
def consumed_page(s: State, thread: int, buffer: int, offset: int) -> int:
    """Byte offset in `l1` of a page that the consumer may read, -1 (and a stop) if it was not waited for or never
    written."""
    if offset < 0 or offset >= s.buffers[buffer, c.WAITED]:
        stop(s, c.FAULT_NOT_WAITED, thread, buffer, offset, s.buffers[buffer, c.WAITED])
        return -1
    memory = page_memory(s, buffer, s.buffers[buffer, c.READ_TO], offset)
    if not check_l1(s, thread, memory, s.buffers[buffer, c.PAGE_BYTES]):
        return -1
    return memory
