"""All tables of a running epoch as one value."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulator.engine import columns as c
from emulator.engine.native import inlined
from emulator.engine.schema import SCHEMA

Table: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]


class State(NamedTuple):
    """See `columns` for what the columns of each table mean, and `views` for how native code gets at them."""

    control: Table
    constants: Table
    heap: Table
    packets: Table
    payload: Bytes
    """One slot of the largest packet's size per packet row."""
    payload_flags: Bytes
    """The flags that travel with it."""
    threads: Table
    cycles: Table
    code: Table
    spent: Table
    """Per instruction: times executed, cycles busy, cycles stalled, cycles of math."""
    affines: Table
    tables: Table
    values: Table
    """Of all tables, one after the other."""
    operands: Table
    buffers: Table
    first_buffer: Table
    """Per core, and one more."""
    semaphores: Table
    """By core and number."""
    tensors: Table
    pages: Table
    lists: Table
    """Integer lists that other tables point into."""
    members: Table
    """Cores of all core sets, one set after the other."""
    sets: Table
    """Per core set: first member, members, 1 if it is reached by a tree."""
    unicast: Table
    """Per noc, source and destination position: first crossing, -1 if none is needed, -2 if there is no route."""
    multicast: Table
    """Per noc, core set and source core: first crossing, members of the tree, depth; -2 if there is no tree."""
    trees: Table
    resources: Table
    unordered: Table
    """Per thread, noc and target core: deliveries under way, and the path (core set, -1 for unicast) they take."""
    position: Table
    """Of each core."""
    channels: Table
    """Per DRAM channel: free at, bytes read, bytes written, requests."""
    streams: Table
    """Per tensor: bytes read, bytes written."""
    kernels: Table
    """Native addresses."""
    arguments: Table
    l1: Bytes
    l1_written: Bytes
    l1_flags: Bytes
    """Per granule; those of a page are at its first one."""
    dram: Bytes
    dram_written: Bytes
    log: Table
    """Empty unless the run is recorded."""
    registers: NDArray[np.int32]
    register_flags: Bytes
    scratch: NDArray[np.float32]

    @property
    def addresses(self) -> Table:
        """Where each table begins, in the order of `SCHEMA`."""
        return np.array([getattr(self, table.name).ctypes.data for table in SCHEMA], np.int64)


@inlined
def stop(s: State, status: int, thread: int, a: int, b: int, x: int) -> None:
    """Stop the run for the reason `status`, unless it has stopped already."""
    if s.control[c.STATUS] == c.RUN:
        s.control[c.STATUS] = status
        s.control[c.FAULT_THREAD] = thread
        s.control[c.FAULT_A] = a
        s.control[c.FAULT_B] = b
        s.control[c.FAULT_C] = x


@inlined
def evaluate(s: State, row: int, thread: int) -> int:
    """The value of affine `row` for the loop counters and variables of `thread`."""
    value: int = s.affines[row, c.CONSTANT] + s.threads[thread, s.affines[row, c.ADDEND]]
    for term in range(s.affines[row, c.TERMS]):
        value += s.affines[row, c.COEFFICIENT + term] * s.threads[thread, c.COUNTER + term]
    return value
