"""The three overlapping parts of the data path: unpack, math and pack; registers, and the kernels that fill them.

Each compute instruction occupies unpack, math and pack for its costs. The thread's own time is that of the unpack part.
Approximations, one sentence each:

- inside one instruction unpack and math overlap completely: math ends with the later of its own time and unpack's;
- unpack runs at most one instruction ahead of math, math at most one register set ahead of pack;
- a `Reserve` that must wait stops unpack as well, although only pack needs the space.
"""

from emulator.engine import columns as c
from emulator.engine.memory import consumed_page
from emulator.engine.native import call, inlined, jit
from emulator.engine.state import State

TILE_ELEMENTS = 1024
REGISTER_BYTES = 4 * TILE_ELEMENTS


@inlined
def set_cost(s: State, unpack: int, math: int, pack: int) -> None:
    """What the instruction at hand costs."""
    s.control[c.COST_UNPACK] = unpack
    s.control[c.COST_MATH] = math
    s.control[c.COST_PACK] = pack


@inlined
def register_memory(s: State, thread: int, register: int) -> int:
    """Native address of a destination register."""
    number = (thread // 3) * s.constants[c.DST_TILES] + register
    address: int = s.control[c.REGISTER_ADDRESS] + number * REGISTER_BYTES
    return address


@inlined
def invoke(s: State, kernel: int) -> None:
    """Call a kernel on `arguments`."""
    call(s.kernels[kernel], s.control[c.ARGUMENT_ADDRESS])


@jit
def charge(s: State, now: int, thread: int, i: int) -> int:
    """Account for the costs of compute instruction `i`; return when the thread can go on."""
    unpack, math, pack = s.control[c.COST_UNPACK], s.control[c.COST_MATH], s.control[c.COST_PACK]
    row = s.threads[thread]
    begin = now
    if s.code[i, c.OP] != c.OP_PACK:
        begin = max(now, row[c.MATH_START])
        start = max(begin, row[c.MATH_FREE])
        if row[c.PACKED]:
            start = max(start, row[c.SET_FREE])
            row[c.SET_FREE] = row[c.PACK_FREE]
            row[c.PACKED] = 0
        row[c.MATH_START] = start
        row[c.MATH_FREE] = max(start + math, begin + unpack)
    else:
        row[c.PACK_FREE] = max(row[c.PACK_FREE], row[c.MATH_FREE]) + pack
        row[c.PACKED] = 1
    cycles = s.cycles[thread]
    cycles[c.BUSY] += unpack
    cycles[c.WAIT_PIPE] += begin - now
    cycles[c.UNPACK_BUSY] += unpack
    cycles[c.MATH_BUSY] += math
    cycles[c.PACK_BUSY] += pack
    s.spent[i, c.BUSY_CYCLES] += begin + unpack - now
    s.spent[i, c.MATH_CYCLES] += math
    return begin + unpack


@jit
def unpack_page(s: State, memory: int, kernel: int, slot: int) -> int:
    """Return the native address of the page at byte `memory` of `l1` as 32-bit elements, unpacked to `slot` of
    `scratch` if need be."""
    address: int = s.control[c.L1_ADDRESS] + memory
    if kernel < 0:
        return address
    scratch: int = s.control[c.SCRATCH_ADDRESS] + slot * REGISTER_BYTES
    s.arguments[0] = scratch
    s.arguments[1] = address
    invoke(s, kernel)
    return scratch


@jit
def unpack_tile(s: State, thread: int, buffer: int, page: int, kernel: int, slot: int) -> int:
    """Return the native address of a page as 32-bit elements, unpacked to `slot` of `scratch` if need be; -1 (and a
    stop) if the page may not be read."""
    memory = consumed_page(s, thread, buffer, page)
    if memory < 0:
        return -1
    return unpack_page(s, memory, kernel, slot)
