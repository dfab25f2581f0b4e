"""Column layout of the engine's tables: all of them int64 arrays, rows of one kind of thing each.

A thread number is `3 * core + (0 read, 1 write, 2 compute)`; a position number is `y * columns + x`; times are cycles
since the start of the epoch.
"""

from typing import Final

# `control`: one row of scalars.
NOW: Final = 0
SEQUENCE: Final = 1
"""Events scheduled so far: the tie-break of equal times."""
HEAP_SIZE: Final = 2
EVENTS: Final = 3
FREE_PACKET: Final = 4
"""Head of the list of free packet rows, -1 when it is empty."""
FREE_PACKETS: Final = 5
"""Its length."""
STATUS: Final = 6
FAULT_THREAD: Final = 7
FAULT_A: Final = 8
FAULT_B: Final = 9
FAULT_C: Final = 10
L1_ADDRESS: Final = 11
"""Native address of the `l1` array."""
REGISTER_ADDRESS: Final = 12
"""Native address of the `registers` array."""
ARGUMENT_ADDRESS: Final = 13
"""Native address of the `arguments` array."""
SCRATCH_ADDRESS: Final = 14
"""Native address of the `scratch` array."""
LAST: Final = 15
"""Time of the latest event that did something."""
TILE_OPS: Final = 16
"""Tile products, then fused maps, reductions and packs (four columns)."""
HEAP_ROWS: Final = 20
"""Events that `heap` has room for."""
LOG_SIZE: Final = 21
"""Rows of `log` in use."""
LOG_ROWS: Final = 22
"""Rows that `log` has; 0 when nothing is to be recorded."""
SKIPPED_OPS: Final = 23
"""As TILE_OPS (four columns): what flags have spared."""
BARE_PACKETS: Final = 27
"""Packets of a flagged page: a header alone."""
LEFT_READS: Final = 28
"""Reads that a guard, or flags in DRAM, have left out."""
SPARED_BYTES: Final = 29
"""Payload of all kinds."""
SPARED_CROSSINGS: Final = 30
"""Flits of bare packets, and of pages that flags in DRAM stand for, that did not cross a link."""
LEFT_WRITES: Final = 31
"""Pages of flagged tensors that were not written but for their flags."""
COST_UNPACK: Final = 32
"""Of the compute instruction at hand; then math and pack."""
COST_MATH: Final = 33
COST_PACK: Final = 34
CONTROL_COLUMNS: Final = 35

# `constants`: one row, the machine's.
CORES: Final = 0
L1_BYTES: Final = 1
POSITIONS: Final = 2
FLIT_BYTES: Final = 3
PACKET_BYTES: Final = 4
"""Payload of the largest packet."""
HOP: Final = 5
NIU: Final = 6
READ_ISSUE: Final = 7
WRITE_ISSUE: Final = 8
ATOMIC_ISSUE: Final = 9
READ_OVERHEAD: Final = 10
WRITE_OVERHEAD: Final = 11
PACKET_GAP: Final = 12
READ_PACKET_GAP: Final = 13
RESERVE_PER_HOP: Final = 14
RESERVE_BASE: Final = 15
ACKS_PER_CYCLE: Final = 16
DRAM_ACCESS: Final = 17
DRAM_SPACING: Final = 18
DRAM_STRIDE: Final = 19
"""Bytes of `dram` per channel."""
SEMAPHORE_POLL: Final = 20
LOOP_COST: Final = 21
COPY_WORD: Final = 22
CB_OP: Final = 23
INSTRUCTION: Final = 24
DST_TILES: Final = 25
SLACK: Final = 26
"""Packets (and events) that one step may need at most."""
CHANNEL_MILLIBYTES: Final = 27
"""Bytes per 1000 cycles of a DRAM channel."""
FIRST_INJECT: Final = 28
"""Row of `resources` of NIU injection port (noc 0, position 0); then by noc and position."""
FIRST_EJECT: Final = 29
FIRST_RESERVE: Final = 30
PAYLOAD_FLITS: Final = 31
"""Payload flits of the largest packet."""
SETS: Final = 32
SEMAPHORES: Final = 33
"""Per core."""
FLAGS: Final = 34
"""1 if some instruction of the image looks at flags: only then are they kept."""
FLAG_CHECK: Final = 35
UNPACK_BYTES: Final = 36
"""Per cycle."""
TABLE_LOAD: Final = 37
SENSES: Final = 38
"""1 if some tensor in DRAM is flagged."""
CONSTANT_COLUMNS: Final = 39

# `threads`
PC: Final = 0
STATE: Final = 1
SINCE: Final = 2
"""When the thread blocked."""
DEPTH: Final = 3
OUTSTANDING: Final = 4
"""Packets issued and not yet completed."""
MATH_START: Final = 5
"""Start of the latest instruction in the math pipe; the next one's unpack does not begin before it."""
MATH_FREE: Final = 6
PACK_FREE: Final = 7
PACKED: Final = 8
"""1 when a pack followed the latest math: the next math opens a new register set."""
SET_FREE: Final = 9
"""When the packs of the register set before the current one were over."""
GATHERED: Final = 10
"""Elements of the current `Gather`, or rows of the current `Take`, already looked at."""
FINISH: Final = 11
COUNTER: Final = 12
"""Loop counters, outermost first (8 columns)."""
REMAINING: Final = 20
"""Iterations to go, the current one included (8 columns)."""
BODY: Final = 28
"""First instruction of each open loop (8 columns)."""
NEEDS_OF: Final = 36
"""What a blocked thread waits for: a row of `buffers` or a semaphore of its core."""
NEEDS: Final = 37
"""How much of it."""
VARIABLE: Final = 38
"""Variables (16 columns)."""
NO_VARIABLE: Final = 54
"""Always 0: what is added where there is no variable."""
THREAD_COLUMNS: Final = 55

READY: Final = 0
RUNNING: Final = 1
DONE: Final = 2
BLOCKED: Final = 3
"""`BLOCKED + r` is blocked for reason `r` of `cycles`."""

# `cycles`: per thread, cycles by reason; they add up to the length of the epoch.
BUSY: Final = 0
WAIT_RESERVE: Final = 1
WAIT_CB: Final = 2
WAIT_SEMAPHORE: Final = 3
WAIT_AWAIT: Final = 4
WAIT_BARRIER: Final = 5
WAIT_ORDER: Final = 6
WAIT_PIPE: Final = 7
IDLE: Final = 8
UNPACK_BUSY: Final = 9
"""From here on: busy cycles of the parts of the data path, which overlap and do not count toward the sum."""
MATH_BUSY: Final = 10
PACK_BUSY: Final = 11
CYCLE_COLUMNS: Final = 12

# `buffers`: rows of a core are consecutive, from `first_buffer[core]`
ADDRESS: Final = 0
"""Byte offset in `l1`."""
CAPACITY: Final = 1
PAGE_BYTES: Final = 2
WRITTEN_TO: Final = 3
"""Pages pushed as the producer sees it; the write pointer modulo the ring."""
VISIBLE: Final = 4
"""Pages pushed as the consumer sees it."""
READ_TO: Final = 5
"""Pages popped; the read pointer modulo the ring."""
RESERVED: Final = 6
WAITED: Final = 7
SHARD: Final = 8
OF_CORE: Final = 9
PRODUCER: Final = 10
"""Thread that pushed last."""
BUFFER_COLUMNS: Final = 11

# `code`: an operation, its costs, then operands `A, A + 1, ...` as the operation lists them.
OP: Final = 0
UNPACK: Final = 1
MATH: Final = 2
PACK: Final = 3
A: Final = 4
CODE_COLUMNS: Final = 23

OP_DONE: Final = 0
OP_RESERVE: Final = 1
"""cb, pages, column of `threads` to add to them; so also push, wait, pop."""
OP_PUSH: Final = 2
OP_WAIT: Final = 3
OP_POP: Final = 4
OP_READ: Final = 5
"""cb, offset, tensor, page, noc, guard (-1: none); so also write, which has none."""
OP_WRITE: Final = 6
OP_GATHER: Final = 7
"""cb, offset, tensor, page, noc, index map."""
OP_MULTICAST: Final = 8
"""cb, offset, pages, core set, noc, column of `threads` to add to the pages."""
OP_BARRIER: Final = 9
OP_SEM_INC: Final = 10
"""semaphore, core set, amount, noc."""
OP_SEM_WAIT: Final = 11
"""semaphore, amount."""
OP_AWAIT: Final = 12
"""tensor, page."""
OP_FILL: Final = 13
"""register, 32-bit pattern, 1 if it is zero."""
OP_MATMUL: Final = 14
"""register, a, a_offset, a_row, a_inner, b, b_offset, b_inner, b_column, rows, columns, inner, clear, kernel of the
product, kernel that unpacks a page of a (-1: none), the same for b, how flags are used (`SKIP_A` and so on), cycles of
a product, guard (-1: none)."""
OP_MAP: Final = 15
"""kernel, register, first operand, number of operands, 1 if the result must not be written in place, the operands that
make it zero (as bits), 1 if a dead one makes it dead, cycles to look at flags, guard (-1: none)."""
OP_REDUCE: Final = 16
"""kernel, register, source, rows, row tile, columns, column tile, 1 for a sum."""
OP_PACK: Final = 17
"""kernel, register, cb, offset, rows, row tile, columns, column tile, 1 if it accumulates, kernel that finds the flags
of the page (-1: they are not kept), 1 if the page must be finite; rows is -1 without a mask."""
OP_LOOP: Final = 18
"""count, column of `threads` to add to it, instruction behind the loop."""
OP_END: Final = 19
OP_FETCH: Final = 21
"""variable, row of `tables`."""
OP_PROBE: Final = 20
"""variable, cb, offset."""
OP_TAKE: Final = 22
"""cb, offset, tensor, page, noc, step, extent, cb of the numbers, its offset, elements from one number to the next,
rows, row tile."""
OP_SENSE: Final = 23
"""As OP_READ, without a guard."""

# How a matmul uses flags
SKIP_A: Final = 1
SKIP_B: Final = 2
FINITE_A: Final = 4
"""Whatever the flag says."""
FINITE_B: Final = 8
LOOK_A: Final = 16
"""Every flag of this side is looked at; else only a dead tile makes itself known."""
LOOK_B: Final = 32

# `affines`: an affine value per row
TERMS: Final = 0
CONSTANT: Final = 1
ADDEND: Final = 2
"""Column of `threads` to add."""
COEFFICIENT: Final = 3
AFFINE_COLUMNS: Final = 11

# `tables`: what threads fetch, from `values`
NEXT_VALUE: Final = 0
END_OF_VALUES: Final = 1
TABLE_COLUMNS: Final = 2

# `operands`: of maps
SOURCE: Final = 0
"""A cb of the core, or `-1 - register`."""
OFFSET: Final = 1
"""Row of `affines`."""
OPERAND_COLUMNS: Final = 2

# `tensors`
FIRST_PAGE: Final = 0
"""Row of `pages`."""
PAGES: Final = 1
TENSOR_PAGE_BYTES: Final = 2
ITEM_BYTES: Final = 3
SHAPE: Final = 4
"""Where in `lists` its matrix shape begins: rank, then extents."""
FLAGGED: Final = 5
"""1 if DRAM keeps the flags of its pages."""
TENSOR_COLUMNS: Final = 6

# `pages`: where each page of each tensor lives in this epoch
NODE: Final = 0
"""Position of the NIU; -1 when the page is not reachable in this epoch, `NOT_STORED` when it is nowhere."""
MEMORY: Final = 1
"""Byte offset in `l1` or `dram`."""
CHANNEL: Final = 2
"""DRAM channel, -1 for L1."""
OWNER: Final = 3
"""Core, -1 for DRAM."""
SEMAPHORE: Final = 4
"""The semaphore that announces it (L1)."""
THRESHOLD: Final = 5
FLAG_MEMORY: Final = 6
"""Byte offset of its word of flags, in the memory where the page lives; -1 if the tensor is not flagged."""
PAGE_COLUMNS: Final = 7

# A page that is not stored is read from zeros behind the L1 of the last core, through the NIU of who reads it.
NOT_STORED: Final = -2

# `trees`: routes; a unicast route is a tree without branches. A row is the crossing of one link.
LINK: Final = 0
"""Row of `resources`."""
CHILD: Final = 1
"""First crossing that leaves the router where this one ends, -1 at the end."""
SIBLING: Final = 2
"""Next crossing that leaves the router where this one starts, or -1."""
MEMBER: Final = 3
"""For multicast trees: the core that takes the packet where this crossing ends, or -1."""
TREE_COLUMNS: Final = 4

# `resources`: links, NIU ports, multicast reservations
FREE_AT: Final = 0
FLITS: Final = 1
RESOURCE_COLUMNS: Final = 2

# `packets`
KIND: Final = 0
THREAD: Final = 1
SRC: Final = 2
"""Position; DST likewise."""
DST: Final = 3
NETWORK: Final = 4
PACKET_FLITS: Final = 5
ROOT: Final = 6
"""First crossing of its route."""
TARGET_MEMORY: Final = 7
"""Byte offset in `l1` (reads, multicasts: in the L1 of one core) or `dram` (writes)."""
SOURCE_MEMORY: Final = 8
SIZE: Final = 9
"""Payload bytes."""
SOURCE_CHANNEL: Final = 10
"""DRAM channel of the far end, -1 for L1."""
TARGET_CORE: Final = 11
COPIES: Final = 12
"""Deliveries still to come."""
SEM: Final = 13
OF_PAGE: Final = 13
"""Of a word of flags that is written: byte offset of its page in `dram`."""
AMOUNT: Final = 14
NEXT_FREE: Final = 15
CORE_SET: Final = 16
"""Core set of a multicast, -1 for unicast."""
GRAIN: Final = 17
"""Tensor that the payload belongs to, -1 for none."""
ISSUED: Final = 18
"""When the command that this packet belongs to, or answers, was handed to its NIU."""
SENT: Final = 19
"""When this packet itself was."""
SPARED: Final = 20
"""Payload flits that it does not carry because it stands for a flagged page, all of whose bytes are 0; else 0."""
WITHIN: Final = 21
"""Byte of its page at which the payload of a read begins; -1 if flags do not travel with it, `FLAGS_ALONE` if the
payload is a word of flags."""
PACKET_COLUMNS: Final = 22

FLAGS_ALONE: Final = -2

# `channels`: FREE_AT, then
READ_BYTES: Final = 1
WRITE_BYTES: Final = 2
REQUESTS: Final = 3
CHANNEL_COLUMNS: Final = 4

# `sets`
FIRST_MEMBER: Final = 0
MEMBERS: Final = 1
TREE: Final = 2
SET_COLUMNS: Final = 3

# `streams`: per tensor
STREAM_READ: Final = 0
STREAM_WRITTEN: Final = 1
STREAM_COLUMNS: Final = 2

# `multicast`
TREE_ROOT: Final = 0
TREE_MEMBERS: Final = 1
TREE_DEPTH: Final = 2
MULTICAST_COLUMNS: Final = 3

# `spent`: per instruction
TIMES: Final = 0
BUSY_CYCLES: Final = 1
STALLED_CYCLES: Final = 2
MATH_CYCLES: Final = 3
SPENT_COLUMNS: Final = 4

# `unordered`
UNDER_WAY: Final = 0
PATH: Final = 1
UNORDERED_COLUMNS: Final = 2

# `log`: what it tells, when it began and ended, and about whom; then columns by kind.
WHAT: Final = 0
BEGAN: Final = 1
ENDED: Final = 2
WHO: Final = 3
STALL_REASON: Final = 4
"""A column of `cycles`."""
STALL_PC: Final = 5
STALL_CAUSE: Final = 6
"""The thread whose push, pop or packet ended the stall."""
STALL_CAUSE_TIME: Final = 7
"""When it pushed, popped or issued."""
STALL_TENSOR: Final = 8
PACKET_KIND: Final = 4
"""Twice the kind of the packet, plus its network."""
PACKET_SRC: Final = 5
"""Position; PACKET_DST likewise."""
PACKET_DST: Final = 6
PACKET_SIZE: Final = 7
PACKET_TENSOR: Final = 8
AMOUNT_OF: Final = 4
LOG_COLUMNS: Final = 9

LOG_STALL: Final = 0
"""WHO is a thread."""
LOG_PACKET: Final = 1
"""WHO is the thread that asked for it."""
LOG_LINK: Final = 2
"""WHO is a link, the amount is in flits."""
LOG_CHANNEL: Final = 3
"""WHO is a DRAM channel, the amount is in bytes."""
LOG_FILL: Final = 4
"""WHO is a row of `buffers`, the amount the pages that its consumer has not popped."""

# Roots in `unicast` and `multicast`
NO_CROSSING: Final = -1
NO_ROUTE: Final = -2

READ_REQUEST: Final = 0
READ_ANSWER: Final = 1
WRITE_DRAM: Final = 2
WRITE_L1: Final = 3
INCREMENT: Final = 4
ACKNOWLEDGE: Final = 5

# `heap`: pending events
TIME: Final = 0
ORDER: Final = 1
EVENT: Final = 2
FIRST: Final = 3
SECOND: Final = 4
HEAP_COLUMNS: Final = 5

THREAD_STEP: Final = 0
"""Thread FIRST goes on."""
PUSHED: Final = 1
"""SECOND pages of buffer row FIRST become visible to its consumer."""
INJECTED: Final = 2
"""Packet FIRST is handed to its source NIU."""
CROSSED: Final = 3
"""The head of packet FIRST stands before crossing SECOND."""
EJECTED: Final = 4
"""The head of packet FIRST is at the router of its destination; SECOND is the core for multicasts, else -1."""
ARRIVED: Final = 5
"""The tail of packet FIRST is in the NIU of its destination; SECOND as for EJECTED."""

# STATUS
RUN: Final = 0
GROW: Final = 1
"""The heap or the packets must be enlarged."""
FAULT_PAGE: Final = 2
"""A page number out of range: tensor, page."""
FAULT_NOT_RESERVED: Final = 3
"""cb, page, reserved."""
FAULT_NOT_WAITED: Final = 4
FAULT_PUSH: Final = 5
"""cb, pages, reserved."""
FAULT_POP: Final = 6
FAULT_ROUTE: Final = 7
"""noc, src position, dst position."""
FAULT_TREE: Final = 8
"""noc, core set."""
FAULT_L1_RANGE: Final = 9
"""byte offset, size."""
FAULT_L1_UNWRITTEN: Final = 10
"""core, address."""
FAULT_DRAM_UNWRITTEN: Final = 11
"""channel, address."""
FAULT_UNREACHABLE: Final = 12
"""tensor, page: it is not in memory in this epoch."""
FAULT_REGISTER: Final = 13
FAULT_SEMAPHORE: Final = 14
FAULT_CAPACITY: Final = 15
"""cb, pages, capacity."""
FAULT_SHARD: Final = 16
"""cb."""
FAULT_INTERNAL: Final = 17
FAULT_KEPT: Final = 18
"""tensor, page: a read of a shard's page that its owner has not pushed."""
FAULT_TABLE: Final = 20
"""table of all threads, end."""

FAULT_PROMISE: Final = 19
"""cb: a page that was promised to be finite is not."""
FAULT_SENSING: Final = 21
"""tensor, page: it is read while its flags are still on their way."""
FAULT_SENSED: Final = 22
"""tensor, page: the flags that were sensed are not those that DRAM keeps of this page."""
FAULT_UNREAD: Final = 23
"""cb: a page is pushed that was sensed, but not read since."""

# Flags of a page, in `l1_flags` at its first granule, and of a register, in `register_flags`
ZERO: Final = 1
FINITE: Final = 2
DEAD: Final = 4
"""With ZERO, FINITE and BARE, for a page; a register may still hold what `Fill` put there."""
BARE: Final = 8
"""Of a page: not one bit is set, so that the header can stand for it. (A zero page may hold -0.)"""
FRESH: Final = 16
"""Of a register: nothing was added since `Fill`."""
SENSED: Final = 32
"""Of a page: the flags are those of a page of a flagged tensor, for the next `Read` to heed."""
SENSING: Final = 64
"""Of a page: such flags are on their way."""
OF_CONTENT: Final = ZERO | FINITE | DEAD | BARE
"""The flags that tell something about what a page holds."""

GRANULE: Final = 16
"""Bytes of memory per entry of the maps of what has been written."""
