"""The compute instructions: their results, and the three overlapping parts of the data path.

Each instruction occupies unpack, math and pack for its costs. The thread's own time is that of the unpack part.
Approximations, one sentence each:

- inside one instruction unpack and math overlap completely: math ends with the later of its own time and unpack's;
- unpack runs at most one instruction ahead of math, math at most one register set ahead of pack;
- a `Reserve` that must wait stops unpack as well, although only pack needs the space;
- results are computed when the instruction is reached; nobody sees them before the `Push`, whose time is that of pack.
"""

from emulator.engine import columns as c
from emulator.engine.memory import check_l1, consumed_page, mark, produced_page
from emulator.engine.native import call, inlined, jit
from emulator.engine.state import State, evaluate, stop
from emulator.engine.views import copy_bytes

TILE_ELEMENTS = 1024
REGISTER_BYTES = 4 * TILE_ELEMENTS
TILE_EDGE = 32


@inlined
def register_memory(s: State, thread: int, register: int) -> int:
    """Native address of a destination register."""
    number = (thread // 3) * s.constants[c.DST_TILES] + register
    address: int = s.control[c.REGISTER_ADDRESS] + number * REGISTER_BYTES
    return address


@inlined
def _call(s: State, kernel: int) -> None:
    call(s.kernels[kernel], s.control[c.ARGUMENT_ADDRESS])


@jit
def charge(s: State, now: int, thread: int, i: int) -> int:
    """Account for the costs of compute instruction `i`; return when the thread can go on."""
    unpack, math, pack = s.code[i, c.UNPACK], s.code[i, c.MATH], s.code[i, c.PACK]
    row = s.threads[thread]
    begin = now
    if pack == 0:
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
    return begin + unpack


@jit
def fill(s: State, thread: int, i: int) -> None:
    """Set all elements of a register to a pattern."""
    first = ((thread // 3) * s.constants[c.DST_TILES] + s.code[i, c.A]) * TILE_ELEMENTS
    pattern = s.code[i, c.A + 1]
    for element in range(first, first + TILE_ELEMENTS):
        s.registers[element] = pattern


@jit
def unpack_tile(s: State, thread: int, buffer: int, page: int, kernel: int, slot: int) -> int:
    """Return the native address of a page as 32-bit elements, unpacked to `slot` of `scratch` if need be; -1 (and a
    stop) if the page may not be read."""
    memory = consumed_page(s, thread, buffer, page)
    if memory < 0:
        return -1
    address: int = s.control[c.L1_ADDRESS] + memory
    if kernel < 0:
        return address
    scratch: int = s.control[c.SCRATCH_ADDRESS] + slot * REGISTER_BYTES
    s.arguments[0] = scratch
    s.arguments[1] = address
    _call(s, kernel)
    return scratch


@jit
def matmul(s: State, thread: int, i: int) -> None:
    """Multiply blocks of tiles; see `Matmul`."""
    code = s.code[i]
    base = s.first_buffer[thread // 3]
    a, b = base + code[c.A + 1], base + code[c.A + 5]
    a_first, b_first = evaluate(s, code[c.A + 2], thread), evaluate(s, code[c.A + 6], thread)
    rows, columns, inner, clear = code[c.A + 9], code[c.A + 10], code[c.A + 11], code[c.A + 12]
    spare = s.constants[c.DST_TILES]
    for k in range(inner):
        for i_row in range(rows):
            page = a_first + i_row * code[c.A + 3] + k * code[c.A + 4]
            left = unpack_tile(s, thread, a, page, code[c.A + 14], i_row)
            if left < 0:
                return
            s.arguments[4 + i_row] = left
        for j in range(columns):
            page = b_first + k * code[c.A + 7] + j * code[c.A + 8]
            right = unpack_tile(s, thread, b, page, code[c.A + 15], spare)
            if right < 0:
                return
            s.arguments[2] = right
            for i_row in range(rows):
                s.arguments[0] = register_memory(s, thread, code[c.A] + i_row * columns + j)
                s.arguments[1] = s.arguments[4 + i_row]
                s.arguments[3] = 1 if clear and k == 0 else 0
                _call(s, code[c.A + 13])
    s.control[c.TILE_OPS] += rows * columns * inner


@jit
def map_tiles(s: State, thread: int, i: int) -> None:
    """Evaluate a fused map; see `Map`."""
    code = s.code[i]
    base = s.first_buffer[thread // 3]
    target = register_memory(s, thread, code[c.A + 1])
    apart = code[c.A + 4] == 1
    for k in range(code[c.A + 3]):
        operand = s.operands[code[c.A + 2] + k]
        if operand[c.SOURCE] < 0:
            s.arguments[1 + k] = register_memory(s, thread, -1 - operand[c.SOURCE])
            continue
        page = evaluate(s, operand[c.OFFSET], thread)
        memory = consumed_page(s, thread, base + operand[c.SOURCE], page)
        if memory < 0:
            return
        s.arguments[1 + k] = s.control[c.L1_ADDRESS] + memory
    s.arguments[0] = s.control[c.SCRATCH_ADDRESS] if apart else target
    _call(s, code[c.A])
    if apart:
        copy_bytes(s.registers, target - s.control[c.REGISTER_ADDRESS], s.scratch, 0, REGISTER_BYTES)
    s.control[c.TILE_OPS + 1] += 1


@inlined
def _inside(s: State, thread: int, extent: int, tile: int) -> int:
    return min(TILE_EDGE, max(0, extent - TILE_EDGE * evaluate(s, tile, thread)))


@jit
def reduce(s: State, thread: int, i: int) -> None:
    """Reduce one register into another; see `Reduce`."""
    code = s.code[i]
    s.arguments[0] = register_memory(s, thread, code[c.A + 1])
    s.arguments[1] = register_memory(s, thread, code[c.A + 2])
    s.arguments[2] = _inside(s, thread, code[c.A + 3], code[c.A + 4])
    s.arguments[3] = _inside(s, thread, code[c.A + 5], code[c.A + 6])
    _call(s, code[c.A])
    s.control[c.TILE_OPS + 2] += 1


@jit
def pack(s: State, thread: int, i: int) -> None:
    """Write a register to a page; see `Pack`."""
    code = s.code[i]
    buffer = s.first_buffer[thread // 3] + code[c.A + 2]
    memory = produced_page(s, thread, buffer, evaluate(s, code[c.A + 3], thread))
    size = s.buffers[buffer, c.PAGE_BYTES]
    if memory < 0 or (code[c.A + 8] and not check_l1(s, thread, memory, size)):
        return
    masked = code[c.A + 4] >= 0
    s.arguments[0] = s.control[c.L1_ADDRESS] + memory
    s.arguments[1] = register_memory(s, thread, code[c.A + 1])
    s.arguments[2] = _inside(s, thread, code[c.A + 4], code[c.A + 5]) if masked else TILE_EDGE
    s.arguments[3] = _inside(s, thread, code[c.A + 6], code[c.A + 7]) if masked else TILE_EDGE
    _call(s, code[c.A])
    mark(s.l1_written, memory, size, 1)
    s.control[c.TILE_OPS + 3] += 1


@jit
def execute(s: State, now: int, thread: int, i: int) -> int:
    """Carry out compute instruction `i`; return when the thread can go on."""
    op = s.code[i, c.OP]
    if op == c.OP_MATMUL:
        matmul(s, thread, i)
    elif op == c.OP_MAP:
        map_tiles(s, thread, i)
    elif op == c.OP_PACK:
        pack(s, thread, i)
    elif op == c.OP_REDUCE:
        reduce(s, thread, i)
    elif op == c.OP_FILL:
        fill(s, thread, i)
    else:
        stop(s, c.FAULT_INTERNAL, thread, op, 0, 0)
    return charge(s, now, thread, i)
