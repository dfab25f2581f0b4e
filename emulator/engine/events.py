"""The queue of pending events: a binary heap ordered by time, then by order of scheduling."""

from emulator.engine import columns as c
from emulator.engine.native import inlined, jit
from emulator.engine.state import State, Table


@inlined
def _before(heap: Table, i: int, time: int, order: int) -> bool:
    earlier: bool = heap[i, c.TIME] < time or (heap[i, c.TIME] == time and heap[i, c.ORDER] < order)
    return earlier


@inlined
def _move(heap: Table, src: int, dst: int) -> None:
    for column in range(c.HEAP_COLUMNS):
        heap[dst, column] = heap[src, column]


@jit
def schedule(s: State, time: int, event: int, first: int, second: int) -> None:
    """Add an event; events of equal time happen in the order in which they were scheduled."""
    heap = s.heap
    order = s.control[c.SEQUENCE]
    s.control[c.SEQUENCE] = order + 1
    i = s.control[c.HEAP_SIZE]
    s.control[c.HEAP_SIZE] = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent, c.TIME] <= time:
            break
        _move(heap, parent, i)
        i = parent
    heap[i, c.TIME] = time
    heap[i, c.ORDER] = order
    heap[i, c.EVENT] = event
    heap[i, c.FIRST] = first
    heap[i, c.SECOND] = second


@jit
def drop_first(s: State) -> None:
    """Remove the earliest event, which is row 0."""
    heap = s.heap
    size = s.control[c.HEAP_SIZE] - 1
    s.control[c.HEAP_SIZE] = size
    time, order = heap[size, c.TIME], heap[size, c.ORDER]
    i, child = 0, 1
    while child < size:
        if child + 1 < size and _before(heap, child + 1, heap[child, c.TIME], heap[child, c.ORDER]):
            child += 1
        if not _before(heap, child, time, order):
            break
        _move(heap, child, i)
        i, child = child, 2 * child + 1
    _move(heap, size, i)


@inlined
def is_next(s: State, time: int) -> bool:
    """Whether an event at `time` would come before all that are scheduled, so that it can be run at once."""
    result: bool = s.control[c.HEAP_SIZE] == 0 or time < s.heap[0, c.TIME]
    return result
