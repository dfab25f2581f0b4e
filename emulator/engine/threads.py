"""The thread interpreter: one instruction after the other, until a thread blocks or another event comes first."""

from emulator.engine import columns as c
from emulator.engine.compute import execute
from emulator.engine.events import is_next, schedule
from emulator.engine.flags import flags_at, kill_page, set_flags
from emulator.engine.gathering import gather, take
from emulator.engine.memory import consumed_page, mark, page_memory, produced_page
from emulator.engine.multicasts import multicast
from emulator.engine.native import inlined, jit, merged
from emulator.engine.record import has_room
from emulator.engine.sensing import all_read, ask_flags, may_read, read_sensed, write_flagged
from emulator.engine.state import State, evaluate, stop
from emulator.engine.transfers import increment, may_send, read_bytes, write_page
from emulator.engine.waking import AGAIN, block, pages_changed, pages_free, pages_visible


@jit
def reserve(s: State, now: int, thread: int, buffer: int, pages: int) -> int:
    """Wait for free pages of a ring; what they held is no longer valid."""
    row = s.buffers[buffer]
    if pages > row[c.CAPACITY]:
        stop(s, c.FAULT_CAPACITY, thread, buffer, pages, row[c.CAPACITY])
        return AGAIN
    if pages_free(s, buffer) < pages:
        block(s, now, thread, c.WAIT_RESERVE, buffer, pages)
        return AGAIN
    for page in range(row[c.RESERVED], pages):
        memory = page_memory(s, buffer, row[c.WRITTEN_TO], page)
        mark(s.l1_written, memory, row[c.PAGE_BYTES], 0)
        if s.constants[c.FLAGS]:
            set_flags(s, memory, 0)
    row[c.RESERVED] = max(row[c.RESERVED], pages)
    return now + s.constants[c.CB_OP]


@jit
def push(s: State, now: int, thread: int, buffer: int, pages: int) -> int:
    """Hand pages to the consumer; those of the compute thread when its packs are over."""
    row = s.buffers[buffer]
    if pages > row[c.RESERVED]:
        stop(s, c.FAULT_PUSH, thread, buffer, pages, row[c.RESERVED])
        return AGAIN
    if s.constants[c.SENSES] and not all_read(s, thread, buffer, pages):
        return AGAIN
    row[c.RESERVED] -= pages
    row[c.WRITTEN_TO] += pages
    row[c.PRODUCER] = thread
    done = now + s.constants[c.CB_OP]
    if row[c.SHARD] and row[c.WRITTEN_TO] > row[c.CAPACITY]:
        stop(s, c.FAULT_SHARD, thread, buffer, 0, 0)
    schedule(s, max(done, s.threads[thread, c.PACK_FREE]), c.PUSHED, buffer, pages)
    return done


@jit
def wait(s: State, now: int, thread: int, buffer: int, pages: int) -> int:
    """Wait for pages of a ring; see `Wait`."""
    row = s.buffers[buffer]
    if pages > row[c.CAPACITY]:
        stop(s, c.FAULT_CAPACITY, thread, buffer, pages, row[c.CAPACITY])
        return AGAIN
    if pages_visible(s, buffer) < pages:
        block(s, now, thread, c.WAIT_CB, buffer, pages)
        return AGAIN
    row[c.WAITED] = max(row[c.WAITED], pages)
    return now + s.constants[c.CB_OP]


@jit
def pop(s: State, now: int, thread: int, buffer: int, pages: int) -> int:
    """Free pages of a ring. Their bytes stay until the room is reserved anew: a multicast of them may be on its way."""
    row = s.buffers[buffer]
    if pages > row[c.WAITED]:
        stop(s, c.FAULT_POP, thread, buffer, pages, row[c.WAITED])
        return AGAIN
    row[c.WAITED] -= pages
    row[c.READ_TO] += pages
    pages_changed(s, now, thread // 3, buffer, thread)
    return now + s.constants[c.CB_OP]


@jit
def checked_page(s: State, thread: int, tensor: int, affine: int) -> int:
    """The page number that an operand names, -1 (and a stop) when the tensor has no such page."""
    page = evaluate(s, affine, thread)
    if page < 0 or page >= s.tensors[tensor, c.PAGES]:
        stop(s, c.FAULT_PAGE, thread, tensor, page, 0)
        return -1
    return page


@jit
def read(s: State, now: int, thread: int, i: int) -> int:
    """See `Read`."""
    code = s.code[i]
    tensor, buffer = code[c.A + 2], s.first_buffer[thread // 3] + code[c.A]
    page = checked_page(s, thread, tensor, code[c.A + 3])
    target = produced_page(s, thread, buffer, evaluate(s, code[c.A + 1], thread))
    if page < 0 or target < 0:
        return AGAIN
    size, guard, flagged = s.tensors[tensor, c.TENSOR_PAGE_BYTES], code[c.A + 5], s.tensors[tensor, c.FLAGGED]
    if flagged and not may_read(s, thread, tensor, page, target):
        return AGAIN
    if guard >= 0 and s.threads[thread, c.VARIABLE + guard] == 0:
        kill_page(s, target, size)
        s.control[c.LEFT_READS] += 1
        s.control[c.SPARED_BYTES] += size
        return now + s.constants[c.FLAG_CHECK]
    if flagged and flags_at(s, target) & c.SENSED:
        return now + read_sensed(s, now, thread, code[c.A + 4], tensor, page, target)
    count = read_bytes(s, now, thread, code[c.A + 4], tensor, page, 0, size, target, True)
    return now + count * s.constants[c.READ_ISSUE]


@jit
def sense(s: State, now: int, thread: int, i: int) -> int:
    """See `Sense`."""
    code = s.code[i]
    page = checked_page(s, thread, code[c.A + 2], code[c.A + 3])
    buffer = s.first_buffer[thread // 3] + code[c.A]
    target = produced_page(s, thread, buffer, evaluate(s, code[c.A + 1], thread))
    if page < 0 or target < 0:
        return AGAIN
    return now + ask_flags(s, now, thread, code[c.A + 4], code[c.A + 2], page, target)


@jit
def probe(s: State, now: int, thread: int, i: int) -> int:
    """See `Probe`."""
    code = s.code[i]
    memory = consumed_page(s, thread, s.first_buffer[thread // 3] + code[c.A + 1], evaluate(s, code[c.A + 2], thread))
    if memory < 0:
        return AGAIN
    s.threads[thread, c.VARIABLE + code[c.A]] = 0 if flags_at(s, memory) & c.ZERO else 1
    return now + s.constants[c.FLAG_CHECK]


@jit
def write(s: State, now: int, thread: int, i: int) -> int:
    """See `Write`."""
    code = s.code[i]
    tensor, buffer = code[c.A + 2], s.first_buffer[thread // 3] + code[c.A]
    page = checked_page(s, thread, tensor, code[c.A + 3])
    source = consumed_page(s, thread, buffer, evaluate(s, code[c.A + 1], thread))
    if page < 0 or source < 0:
        return AGAIN
    if s.tensors[tensor, c.FLAGGED]:
        return now + write_flagged(s, now, thread, code[c.A + 4], tensor, page, source)
    count = write_page(s, now, thread, code[c.A + 4], tensor, page, source)
    return now + count * s.constants[c.WRITE_ISSUE]


@jit
def add_remotely(s: State, now: int, thread: int, i: int) -> int:
    """See `SemInc`."""
    code = s.code[i]
    semaphore = evaluate(s, code[c.A], thread)
    if semaphore < 0 or semaphore >= s.constants[c.SEMAPHORES]:
        stop(s, c.FAULT_SEMAPHORE, thread, semaphore, 0, 0)
        return AGAIN
    if not may_send(s, now, thread, code[c.A + 3], code[c.A + 1]):
        return AGAIN
    cost = increment(s, now, thread, code[c.A + 3], code[c.A + 1], semaphore, code[c.A + 2])
    return AGAIN if cost < 0 else now + cost


@jit
def wait_semaphore(s: State, now: int, thread: int, i: int) -> int:
    """See `SemWait`."""
    semaphore, amount = evaluate(s, s.code[i, c.A], thread), s.code[i, c.A + 1]
    core = thread // 3
    if semaphore < 0 or semaphore >= s.constants[c.SEMAPHORES]:
        stop(s, c.FAULT_SEMAPHORE, thread, semaphore, 0, 0)
        return AGAIN
    if s.semaphores[core * s.constants[c.SEMAPHORES] + semaphore] < amount:
        block(s, now, thread, c.WAIT_SEMAPHORE, semaphore, amount)
        return AGAIN
    s.semaphores[core * s.constants[c.SEMAPHORES] + semaphore] -= amount
    return now + s.constants[c.SEMAPHORE_POLL]


@jit
def await_page(s: State, now: int, thread: int, i: int) -> int:
    """See `Await`."""
    tensor = s.code[i, c.A]
    page = checked_page(s, thread, tensor, s.code[i, c.A + 1])
    if page < 0:
        return AGAIN
    place = s.pages[s.tensors[tensor, c.FIRST_PAGE] + page]
    if place[c.NODE] == c.NOT_STORED:
        return now + s.constants[c.SEMAPHORE_POLL]
    if place[c.OWNER] < 0:
        stop(s, c.FAULT_UNREACHABLE, thread, tensor, page, 0)
        return AGAIN
    announced = s.semaphores[thread // 3 * s.constants[c.SEMAPHORES] + place[c.SEMAPHORE]]
    if announced < place[c.THRESHOLD]:
        block(s, now, thread, c.WAIT_AWAIT, place[c.SEMAPHORE], place[c.THRESHOLD])
        return AGAIN
    return now + s.constants[c.SEMAPHORE_POLL]


@jit
def barrier(s: State, now: int, thread: int) -> int:
    """See `Barrier`."""
    if s.threads[thread, c.OUTSTANDING] > 0:
        block(s, now, thread, c.WAIT_BARRIER, 0, 0)
        return AGAIN
    return now


@inlined
def open_loop(s: State, thread: int, i: int) -> int:
    """See `Loop`; returns the next instruction."""
    row = s.threads[thread]
    depth = row[c.DEPTH]
    count = s.code[i, c.A] + row[s.code[i, c.A + 1]]
    if count <= 0:
        behind: int = s.code[i, c.A + 2]
        return behind
    row[c.COUNTER + depth] = 0
    row[c.REMAINING + depth] = count
    row[c.BODY + depth] = i + 1
    row[c.DEPTH] = depth + 1
    return i + 1


@inlined
def close_loop(s: State, thread: int, i: int) -> int:
    """See `End`; returns the next instruction."""
    row = s.threads[thread]
    depth = row[c.DEPTH] - 1
    row[c.REMAINING + depth] -= 1
    if row[c.REMAINING + depth] == 0:
        row[c.DEPTH] = depth
        return i + 1
    row[c.COUNTER + depth] += 1
    body: int = row[c.BODY + depth]
    return body


@inlined
def fetch(s: State, now: int, thread: int, i: int) -> int:
    """See `Fetch`."""
    table = s.code[i, c.A + 1]
    cursor = s.tables[table, c.NEXT_VALUE]
    if cursor >= s.tables[table, c.END_OF_VALUES]:
        stop(s, c.FAULT_TABLE, thread, table, cursor, 0)
        return AGAIN
    s.tables[table, c.NEXT_VALUE] = cursor + 1
    s.threads[thread, c.VARIABLE + s.code[i, c.A]] = s.values[cursor]
    done: int = now + s.constants[c.TABLE_LOAD]
    return done


@merged
def _on_buffer(s: State, now: int, thread: int, i: int) -> int:
    op, pages = s.code[i, c.OP], s.code[i, c.A + 1] + s.threads[thread, s.code[i, c.A + 2]]
    buffer = s.first_buffer[thread // 3] + s.code[i, c.A]
    if op == c.OP_RESERVE:
        return reserve(s, now, thread, buffer, pages)
    if op == c.OP_PUSH:
        return push(s, now, thread, buffer, pages)
    if op == c.OP_WAIT:
        return wait(s, now, thread, buffer, pages)
    return pop(s, now, thread, buffer, pages)


@merged
def _on_network(s: State, now: int, thread: int, i: int) -> int:
    op = s.code[i, c.OP]
    if op == c.OP_READ:
        return read(s, now, thread, i)
    if op == c.OP_WRITE:
        return write(s, now, thread, i)
    if op == c.OP_GATHER:
        return now + gather(s, now, thread, i)
    if op == c.OP_MULTICAST:
        return multicast(s, now, thread, i)
    if op == c.OP_BARRIER:
        return barrier(s, now, thread)
    if op == c.OP_SEM_INC:
        return add_remotely(s, now, thread, i)
    if op == c.OP_SEM_WAIT:
        return wait_semaphore(s, now, thread, i)
    return await_page(s, now, thread, i)


@jit
def finish(s: State, now: int, thread: int) -> None:
    """The thread's program is over; its data path may still be at work."""
    row = s.threads[thread]
    drained = max(now, row[c.MATH_FREE], row[c.PACK_FREE])
    s.cycles[thread, c.WAIT_PIPE] += drained - now
    row[c.STATE] = c.DONE
    row[c.FINISH] = drained
    s.control[c.LAST] = max(s.control[c.LAST], drained)


@merged
def step(s: State, now: int, thread: int) -> int:
    """Run one instruction; return when the thread can go on, or `AGAIN`."""
    row = s.threads[thread]
    i = row[c.PC]
    op = s.code[i, c.OP]
    following = i + 1
    if op == c.OP_LOOP:
        following = open_loop(s, thread, i)
        done = now if following == i + 1 else now + s.constants[c.LOOP_COST]
    elif op == c.OP_END:
        following = close_loop(s, thread, i)
        done = now + s.constants[c.LOOP_COST]
    elif op == c.OP_FETCH:
        done = fetch(s, now, thread, i)
    elif op == c.OP_PROBE:
        done = probe(s, now, thread, i)
    elif op >= c.OP_TAKE:
        done = sense(s, now, thread, i) if op == c.OP_SENSE else now + take(s, now, thread, i)
    elif op <= c.OP_POP:
        done = _on_buffer(s, now, thread, i)
    elif op >= c.OP_FILL:
        done = execute(s, now, thread, i)
    else:
        done = _on_network(s, now, thread, i)
    if done == AGAIN or s.control[c.STATUS] != c.RUN:
        return AGAIN
    if row[c.GATHERED] > 0:
        following = i
    row[c.PC] = following
    s.spent[i, c.TIMES] += 1
    if op < c.OP_FILL or op >= c.OP_LOOP:
        s.spent[i, c.BUSY_CYCLES] += done - now
        s.cycles[thread, c.BUSY] += done - now
    return done


@jit
def run_thread(s: State, now: int, thread: int) -> None:
    """Go on with `thread` until it blocks, finishes, or something else happens first."""
    s.threads[thread, c.STATE] = c.RUNNING
    while True:
        if s.code[s.threads[thread, c.PC], c.OP] == c.OP_DONE:
            finish(s, now, thread)
            return
        done = step(s, now, thread)
        if done == AGAIN:
            return
        if not has_room(s) or not is_next(s, done):
            s.threads[thread, c.STATE] = c.READY
            schedule(s, done, c.THREAD_STEP, thread, 0)
            return
        s.control[c.EVENTS] += 1
        now = done
