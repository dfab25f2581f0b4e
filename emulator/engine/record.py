"""The log: what happened when, written down only if the run is to be recorded. It changes no time and no byte."""

from emulator.engine import columns as c
from emulator.engine.native import inlined, jit
from emulator.engine.state import State


@inlined
def has_room(s: State) -> bool:
    """Whether packets, events and the log have room for whatever the next step may need."""
    slack = s.constants[c.SLACK]
    result: bool = (
        s.control[c.FREE_PACKETS] >= slack
        and s.control[c.HEAP_ROWS] - s.control[c.HEAP_SIZE] >= slack
        and (s.control[c.LOG_ROWS] == 0 or s.control[c.LOG_ROWS] - s.control[c.LOG_SIZE] >= slack)
    )
    return result


@jit
def _append(s: State, kind: int, begin: int, end: int, who: int) -> int:
    row: int = s.control[c.LOG_SIZE]
    s.control[c.LOG_SIZE] = row + 1
    entry = s.log[row]
    entry[c.WHAT] = kind
    entry[c.BEGAN] = begin
    entry[c.ENDED] = end
    entry[c.WHO] = who
    return row


@inlined
def log_stall(s: State, time: int, thread: int, cause: int, cause_time: int, tensor: int) -> None:
    """`thread` goes on, because of what thread `cause` did (or sent) at `cause_time`; `tensor` is -1 for none."""
    if s.control[c.LOG_ROWS] > 0:
        row = _append(s, c.LOG_STALL, s.threads[thread, c.SINCE], time, thread)
        s.log[row, c.STALL_REASON] = s.threads[thread, c.STATE] - c.BLOCKED
        s.log[row, c.STALL_PC] = s.threads[thread, c.PC]
        s.log[row, c.STALL_CAUSE] = cause
        s.log[row, c.STALL_CAUSE_TIME] = cause_time
        s.log[row, c.STALL_TENSOR] = tensor


@inlined
def log_arrival(s: State, time: int, packet: int, dst: int) -> None:
    """Packet `packet` has arrived at position `dst`."""
    if s.control[c.LOG_ROWS] > 0:
        entry = s.packets[packet]
        row = _append(s, c.LOG_PACKET, entry[c.SENT], time, entry[c.THREAD])
        s.log[row, c.PACKET_KIND] = 2 * entry[c.KIND] + entry[c.NETWORK]
        s.log[row, c.PACKET_SRC] = entry[c.SRC]
        s.log[row, c.PACKET_DST] = dst
        s.log[row, c.PACKET_SIZE] = 0 if entry[c.SPARED] > 0 else entry[c.SIZE]
        s.log[row, c.PACKET_TENSOR] = entry[c.GRAIN]


@inlined
def log_amount(s: State, kind: int, begin: int, end: int, who: int, amount: int) -> None:
    """`who` (a link, a channel, a buffer; by `kind`) is given `amount`, in the time from `begin` to `end`."""
    if s.control[c.LOG_ROWS] > 0:
        row = _append(s, kind, begin, end, who)
        s.log[row, c.AMOUNT_OF] = amount
