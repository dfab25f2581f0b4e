"""Threads that stop and go on."""

from emulator.engine import columns as c
from emulator.engine.events import schedule
from emulator.engine.native import inlined, jit
from emulator.engine.record import log_amount, log_stall
from emulator.engine.state import State

AGAIN = -1
"""Instead of a time: the thread is blocked, and will try the same instruction again."""


@jit
def block(s: State, time: int, thread: int, reason: int, needs_of: int, needs: int) -> None:
    """Stop `thread` before its current instruction, for `reason` (a column of `cycles`)."""
    s.threads[thread, c.STATE] = c.BLOCKED + reason
    s.threads[thread, c.SINCE] = time
    s.threads[thread, c.NEEDS_OF] = needs_of
    s.threads[thread, c.NEEDS] = needs


@jit
def wake(s: State, time: int, thread: int, cause: int, cause_time: int, tensor: int) -> None:
    """Let a blocked thread try its instruction again, thanks to what thread `cause` did at `cause_time`; `tensor` is
    the one whose packet it was, -1 for none."""
    log_stall(s, time, thread, cause, cause_time, tensor)
    stalled = time - s.threads[thread, c.SINCE]
    s.cycles[thread, s.threads[thread, c.STATE] - c.BLOCKED] += stalled
    s.spent[s.threads[thread, c.PC], c.STALLED_CYCLES] += stalled
    s.threads[thread, c.STATE] = c.READY
    schedule(s, time, c.THREAD_STEP, thread, 0)


@inlined
def is_blocked(s: State, thread: int, reason: int) -> bool:
    result: bool = s.threads[thread, c.STATE] == c.BLOCKED + reason
    return result


@inlined
def pages_free(s: State, buffer: int) -> int:
    """Pages of the ring that the producer has not filled."""
    row = s.buffers[buffer]
    free: int = row[c.CAPACITY] - (row[c.WRITTEN_TO] - row[c.READ_TO])
    return free


@inlined
def pages_visible(s: State, buffer: int) -> int:
    """Pages that the consumer may take."""
    pages: int = s.buffers[buffer, c.VISIBLE] - s.buffers[buffer, c.READ_TO]
    return pages


@jit
def pages_changed(s: State, time: int, core: int, buffer: int, cause: int) -> None:
    """Wake the threads of `core` whose wait for pages of `buffer` is over; thread `cause` pushed or popped them."""
    log_amount(s, c.LOG_FILL, time, time, buffer, pages_visible(s, buffer))
    for thread in range(3 * core, 3 * core + 3):
        if s.threads[thread, c.NEEDS_OF] != buffer:
            continue
        needs = s.threads[thread, c.NEEDS]
        if (is_blocked(s, thread, c.WAIT_CB) and pages_visible(s, buffer) >= needs) or (
            is_blocked(s, thread, c.WAIT_RESERVE) and pages_free(s, buffer) >= needs
        ):
            wake(s, time, thread, cause, time, -1)


@jit
def semaphore_changed(s: State, time: int, core: int, semaphore: int, cause: int, cause_time: int) -> None:
    """Wake the threads of `core` whose wait for `semaphore` is over; thread `cause` sent the increment at
    `cause_time`."""
    for thread in range(3 * core, 3 * core + 3):
        waits = is_blocked(s, thread, c.WAIT_SEMAPHORE) or is_blocked(s, thread, c.WAIT_AWAIT)
        if not waits or s.threads[thread, c.NEEDS_OF] != semaphore:
            continue
        if s.semaphores[core * s.constants[c.SEMAPHORES] + semaphore] >= s.threads[thread, c.NEEDS]:
            wake(s, time, thread, cause, cause_time, -1)
