"""The compute instructions: their results. What they cost is in `datapath`, what flags spare in `skipping`.

Approximation: results are computed when the instruction is reached; nobody sees them before the `Push`, whose time is
that of pack.
"""

from emulator.engine import columns as c
from emulator.engine.datapath import (
    REGISTER_BYTES,
    TILE_ELEMENTS,
    charge,
    invoke,
    register_memory,
    set_cost,
    unpack_tile,
)
from emulator.engine.flags import kill_page, set_flags
from emulator.engine.memory import check_l1, consumed_page, mark, produced_page
from emulator.engine.native import inlined, jit
from emulator.engine.skipping import flagged_map, flagged_matmul, flagged_reduce, register_row
from emulator.engine.state import State, evaluate, stop
from emulator.engine.views import copy_bytes

TILE_EDGE = 32


@jit
def fill(s: State, thread: int, i: int) -> None:
    """Set all elements of a register to a pattern."""
    first = ((thread // 3) * s.constants[c.DST_TILES] + s.code[i, c.A]) * TILE_ELEMENTS
    pattern = s.code[i, c.A + 1]
    for element in range(first, first + TILE_ELEMENTS):
        s.registers[element] = pattern
    if s.constants[c.FLAGS]:
        s.register_flags[first // TILE_ELEMENTS] = c.FRESH | (c.ZERO if s.code[i, c.A + 2] else 0)


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
                invoke(s, code[c.A + 13])
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
    if s.constants[c.FLAGS] and flagged_map(s, thread, i):
        return
    s.arguments[0] = s.control[c.SCRATCH_ADDRESS] if apart else target
    invoke(s, code[c.A])
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
    if s.constants[c.FLAGS] and flagged_reduce(s, thread, i):
        return
    s.arguments[0] = register_memory(s, thread, code[c.A + 1])
    s.arguments[1] = register_memory(s, thread, code[c.A + 2])
    s.arguments[2] = _inside(s, thread, code[c.A + 3], code[c.A + 4])
    s.arguments[3] = _inside(s, thread, code[c.A + 5], code[c.A + 6])
    invoke(s, code[c.A])
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
    if s.constants[c.FLAGS] and s.register_flags[register_row(s, thread, code[c.A + 1])] & c.DEAD:
        pack_nothing(s, memory, size, code[c.A + 8] == 1)
        return
    masked = code[c.A + 4] >= 0
    s.arguments[0] = s.control[c.L1_ADDRESS] + memory
    s.arguments[1] = register_memory(s, thread, code[c.A + 1])
    s.arguments[2] = _inside(s, thread, code[c.A + 4], code[c.A + 5]) if masked else TILE_EDGE
    s.arguments[3] = _inside(s, thread, code[c.A + 6], code[c.A + 7]) if masked else TILE_EDGE
    invoke(s, code[c.A])
    mark(s.l1_written, memory, size, 1)
    s.control[c.TILE_OPS + 3] += 1
    if code[c.A + 9] >= 0:
        invoke(s, code[c.A + 9])
        if code[c.A + 10] and s.arguments[1] & c.FINITE == 0:
            stop(s, c.FAULT_PROMISE, thread, buffer, 0, 0)
        if s.constants[c.FLAGS]:
            set_flags(s, memory, s.arguments[1])


@jit
def pack_nothing(s: State, memory: int, size: int, accumulate: bool) -> None:
    """Pack a dead register: the page is dead, or stays as it is."""
    if not accumulate:
        kill_page(s, memory, size)
    set_cost(s, 0, 0, s.constants[c.FLAG_CHECK])
    s.control[c.SKIPPED_OPS + 3] += 1


@jit
def execute(s: State, now: int, thread: int, i: int) -> int:
    """Carry out compute instruction `i`; return when the thread can go on."""
    op = s.code[i, c.OP]
    set_cost(s, s.code[i, c.UNPACK], s.code[i, c.MATH], s.code[i, c.PACK])
    if op == c.OP_MATMUL:
        if s.constants[c.FLAGS]:
            flagged_matmul(s, thread, i)
        else:
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
