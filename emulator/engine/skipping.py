"""Products, maps and reductions that look at flags, and leave out what these spare.

A register has flags of its own: zero, fresh (nothing was added since `Fill`), dead (nothing but dead tiles was). A dead
register keeps the elements of its `Fill`, to which live tiles may still be added, but reads as zero.

Approximations, one sentence each:

- a tile of which every product is left out is not unpacked either;
- an instruction of which nothing is left takes no time of math;
- a tile whose flags nobody asks for costs a look at them only if it is dead.
"""

from emulator.engine import columns as c
from emulator.engine.datapath import REGISTER_BYTES, invoke, register_memory, set_cost, unpack_page
from emulator.engine.flags import flags_at
from emulator.engine.memory import consumed_page
from emulator.engine.native import inlined, jit
from emulator.engine.state import State, evaluate
from emulator.engine.views import fill_bytes


@inlined
def register_row(s: State, thread: int, register: int) -> int:
    """Row of `register_flags`."""
    row: int = (thread // 3) * s.constants[c.DST_TILES] + register
    return row


@inlined
def reads_zero(flags: int) -> bool:
    """Whether a register or page of these flags reads as zero."""
    return flags & (c.ZERO | c.DEAD) != 0


@jit
def clear_register(s: State, row: int, flags: int) -> None:
    """Make register `row` zero, with these flags besides."""
    fill_bytes(s.registers, row * REGISTER_BYTES, REGISTER_BYTES, 0)
    s.register_flags[row] = c.ZERO | flags


@inlined
def add_nothing(s: State, row: int, dead: bool) -> None:
    """What the flags of register `row` are after a tile that was left out, dead or not, was added to it."""
    flags = s.register_flags[row]
    if not dead:
        s.register_flags[row] = flags & ~(c.FRESH | c.DEAD)
    elif flags & c.FRESH:
        s.register_flags[row] = flags & ~c.FRESH | c.DEAD


@inlined
def is_switched_off(s: State, thread: int, guard: int) -> bool:
    """Whether variable `guard`, if there is one, is 0."""
    result: bool = guard >= 0 and s.threads[thread, c.VARIABLE + guard] == 0
    return result


@inlined
def is_left_out(how: int, left: int, right: int) -> bool:
    """Whether the product of tiles with flags `left` and `right` is left out, given how the matmul uses flags."""
    if (left | right) & c.DEAD:
        return True
    if how & c.SKIP_A and left & c.ZERO and (how & c.FINITE_B or right & c.FINITE):
        return True
    result: bool = how & c.SKIP_B != 0 and right & c.ZERO != 0 and (how & c.FINITE_A != 0 or left & c.FINITE != 0)
    return result


@jit
def _multiply(s: State, thread: int, i: int, k: int, i_row: int, j: int, right: int) -> int:
    """Multiply the left tile of row `i_row`, already found, by the one at byte `right`; return 1 if that had to be
    unpacked (`arguments[2]` is 0 until then), and 2 more if the left one had to be."""
    code = s.code[i]
    loads = 0
    if s.arguments[2] == 0:
        s.arguments[2] = unpack_page(s, right, code[c.A + 15], s.constants[c.DST_TILES])
        loads += 1
    if s.arguments[4 + i_row] == 0:
        memory = s.arguments[4 + s.constants[c.DST_TILES] + i_row]
        s.arguments[4 + i_row] = unpack_page(s, memory, code[c.A + 14], i_row)
        loads += 2
    row = register_row(s, thread, code[c.A] + i_row * code[c.A + 10] + j)
    s.arguments[0] = register_memory(s, thread, code[c.A] + i_row * code[c.A + 10] + j)
    s.arguments[1] = s.arguments[4 + i_row]
    s.arguments[3] = 1 if code[c.A + 12] and k == 0 else 0
    invoke(s, code[c.A + 13])
    s.register_flags[row] = 0
    return loads


@jit
def _find_left(s: State, thread: int, i: int, k: int) -> int:
    """Note where the left tiles of step `k` are; return how many of them are dead, -1 if one may not be read."""
    code = s.code[i]
    buffer = s.first_buffer[thread // 3] + code[c.A + 1]
    first = evaluate(s, code[c.A + 2], thread) + k * code[c.A + 4]
    dead = 0
    for i_row in range(code[c.A + 9]):
        memory = consumed_page(s, thread, buffer, first + i_row * code[c.A + 3])
        if memory < 0:
            return -1
        s.arguments[4 + i_row] = 0
        s.arguments[4 + s.constants[c.DST_TILES] + i_row] = memory
        if flags_at(s, memory) & c.DEAD:
            dead += 1
    return dead


@jit
def flagged_matmul(s: State, thread: int, i: int) -> None:
    """Multiply the tiles of blocks whose products are not left out; see `Matmul`."""
    code = s.code[i]
    if is_switched_off(s, thread, code[c.A + 18]):
        for register in range(code[c.A + 9] * code[c.A + 10]):
            row = register_row(s, thread, code[c.A] + register)
            if code[c.A + 12]:
                clear_register(s, row, c.FRESH)
            add_nothing(s, row, True)
        _charge_products(s, thread, i, 0, 0, 0)
        return
    b = s.first_buffer[thread // 3] + code[c.A + 5]
    b_first = evaluate(s, code[c.A + 6], thread)
    rows, columns, inner, how = code[c.A + 9], code[c.A + 10], code[c.A + 11], code[c.A + 16]
    products, left_loads, right_loads, left_dead, right_dead = 0, 0, 0, 0, 0
    for k in range(inner):
        dead = _find_left(s, thread, i, k)
        if dead < 0:
            return
        left_dead += dead
        for j in range(columns):
            right = consumed_page(s, thread, b, b_first + k * code[c.A + 7] + j * code[c.A + 8])
            if right < 0:
                return
            right_flags = flags_at(s, right)
            right_dead += 1 if right_flags & c.DEAD else 0
            s.arguments[2] = 0
            for i_row in range(rows):
                left_flags = flags_at(s, s.arguments[4 + s.constants[c.DST_TILES] + i_row])
                if not is_left_out(how, left_flags, right_flags):
                    loads = _multiply(s, thread, i, k, i_row, j, right)
                    right_loads += loads & 1
                    left_loads += loads >> 1
                    products += 1
                    continue
                row = register_row(s, thread, code[c.A] + i_row * columns + j)
                if code[c.A + 12] and k == 0:
                    clear_register(s, row, c.FRESH)
                add_nothing(s, row, (left_flags | right_flags) & c.DEAD != 0)
    looks = rows * inner if how & c.LOOK_A else left_dead
    looks += columns * inner if how & c.LOOK_B else right_dead
    kept = left_loads if rows <= columns else right_loads
    _charge_products(s, thread, i, products, kept, looks)


@jit
def _charge_products(s: State, thread: int, i: int, products: int, kept: int, looks: int) -> None:
    """Set the cost of `products` tile products, of `kept` tiles that stay in the source register and of `looks` at
    flags; as `compiler.target.costs.live_matmul_cost`."""
    code = s.code[i]
    base, rate = s.first_buffer[thread // 3], s.constants[c.UNPACK_BYTES]
    left, right = s.buffers[base + code[c.A + 1], c.PAGE_BYTES], s.buffers[base + code[c.A + 5], c.PAGE_BYTES]
    nbytes = kept * left + products * right if code[c.A + 9] <= code[c.A + 10] else kept * right + products * left
    unpack = (nbytes + rate - 1) // rate + looks * s.constants[c.FLAG_CHECK]
    math = max(products * code[c.A + 17], s.constants[c.INSTRUCTION]) if products else 0
    set_cost(s, unpack, math, 0)
    s.control[c.TILE_OPS] += products
    s.control[c.SKIPPED_OPS] += code[c.A + 9] * code[c.A + 10] * code[c.A + 11] - products


@jit
def flagged_map(s: State, thread: int, i: int) -> bool:
    """Give the register the value that a flag of an operand decides, if one does; see `Map`. If none does, let dead
    registers among the operands read as zero, by their addresses in `arguments`, which are set."""
    code = s.code[i]
    base = s.first_buffer[thread // 3]
    row = register_row(s, thread, code[c.A + 1])
    killed = is_switched_off(s, thread, code[c.A + 8])
    zero, dead = False, False
    for k in range(code[c.A + 3]):
        operand = s.operands[code[c.A + 2] + k]
        if operand[c.SOURCE] < 0:
            flags = s.register_flags[register_row(s, thread, -1 - operand[c.SOURCE])]
            if flags & c.DEAD:
                s.arguments[1 + k] = s.control[c.SCRATCH_ADDRESS] + (s.constants[c.DST_TILES] + 1) * REGISTER_BYTES
        else:
            memory = consumed_page(s, thread, base + operand[c.SOURCE], evaluate(s, operand[c.OFFSET], thread))
            if memory < 0:
                return True
            flags = flags_at(s, memory)
        dead = dead or flags & c.DEAD != 0
        zero = zero or ((code[c.A + 5] >> k) & 1 != 0 and reads_zero(flags))
    dead = killed or (dead and code[c.A + 6] != 0)
    if not (dead or zero):
        s.register_flags[row] = 0
        return False
    clear_register(s, row, c.DEAD if dead else 0)
    set_cost(s, code[c.A + 7], 0, 0)
    s.control[c.SKIPPED_OPS + 1] += 1
    return True


@jit
def flagged_reduce(s: State, thread: int, i: int) -> bool:
    """Leave the source out if its flags say so; see `Reduce`."""
    code = s.code[i]
    row = register_row(s, thread, code[c.A + 1])
    flags = s.register_flags[register_row(s, thread, code[c.A + 2])]
    if not (flags & c.DEAD or (code[c.A + 7] and flags & c.ZERO)):
        s.register_flags[row] = 0
        return False
    add_nothing(s, row, flags & c.DEAD != 0)
    set_cost(s, s.constants[c.FLAG_CHECK], 0, 0)
    s.control[c.SKIPPED_OPS + 2] += 1
    return True
