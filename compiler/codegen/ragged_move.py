"""The read and the write thread of a core of a ragged stage.

The loads of a thread at one level are made together: all of them are issued before the first is waited for.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod

from compiler.codegen.code import Step, affine
from compiler.codegen.move import await_grants, grant
from compiler.codegen.plan import Share
from compiler.codegen.ragged import Level, RaggedFrame
from compiler.codegen.tables import TableCode
from compiler.numerics import TileGrid
from compiler.program.image import Code
from compiler.program.instructions import (
    ZERO,
    Affine,
    Await,
    Barrier,
    Gather,
    Multicast,
    Pop,
    Push,
    Read,
    Reserve,
    SemInc,
    SemWait,
    Thread,
    Wait,
    Write,
)


def ragged_read_code(frame: RaggedFrame, origin: int) -> Code:
    """Return the read thread: it loads its operands in the order in which they are needed, or gathers the result."""
    code = TableCode(origin)
    if frame.gathers:
        _gather(frame, code)
    else:
        _walk(frame, code, Thread.READ, frame.levels(Thread.READ))
    return code.build()


def ragged_write_code(frame: RaggedFrame, origin: int) -> Code:
    """Return the write thread: it loads what is assigned to it, and stores and announces the result block by block."""
    code = TableCode(origin)
    _walk(frame, code, Thread.WRITE, frame.levels(Thread.WRITE))
    if frame.stage.to_dram and frame.keeps:
        code.emit(Barrier())
    return code.build()


def _walk(frame: RaggedFrame, code: TableCode, thread: Thread, levels: Sequence[Level]) -> None:
    """Emit what `thread` does at the first of `levels` and inside it."""
    level, *deeper = levels
    numbers = [number for number, plan in frame.held(thread).items() if plan.level == level]
    if numbers:
        _load(frame, code, numbers)
    if deeper:
        counts = frame.counts(level, deeper[0])
        if counts.any():
            with code.turns(counts):
                _walk(frame, code, thread, deeper)
    if thread is Thread.WRITE and level is Level.BLOCK:
        _drain(frame, code)


def _load(frame: RaggedFrame, code: TableCode, numbers: Sequence[int]) -> None:
    """Load operands `numbers`, which are of one level."""
    for number in numbers:
        _ask(frame, code, number)
    if any(_reads(frame, number) for number in numbers):
        code.emit(Barrier())
    for number in numbers:
        share = frame.plan.shares[number]
        if share is not None and frame.leads(share):
            _pass_on(frame, code, number, share)
        elif share is not None:
            code.emit(SemWait(affine(share.arrived), 1))
        pages = code.amount(frame.pages_loaded(number))
        if pages:
            code.emit(Push(number, pages))


def _reads(frame: RaggedFrame, number: int) -> bool:
    """Whether this core reads operand `number` itself."""
    share = frame.plan.shares[number]
    return share is None or frame.leads(share)


def _ask(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Make room for one load of an operand, and issue its reads or ask the leader for it."""
    pages = code.amount(frame.pages_loaded(number))
    if pages:
        code.emit(Reserve(number, pages))
    share = frame.plan.shares[number]
    if share is not None and not frame.leads(share):
        grant(frame, code, share)
    elif pages:
        _read(frame, code, number)


def _read(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Issue the reads of one load: operand block by operand block, page by page."""
    access, loads = frame.nest.operands[number], frame.loads[number]
    tensor, noc = frame.tensor(number), frame.names.nocs[frame.plan.loads[number]]
    strides = frame.local_strides(number)
    with code.turns(loads.counts) as block, ExitStack() as stack:
        first = code.number(loads.pages)
        inner: list[Step] = [
            (axis, 1, stack.enter_context(code.loop(extent))) for axis, extent in enumerate(loads.extents) if extent > 1
        ]
        page = first.plus(0, [(access.strides[axis], counter) for axis, _, counter in inner])
        if frame.stage.operands[number].from_l1:
            code.emit(Await(tensor, page))
        places = [(strides[axis], counter) for axis, _, counter in inner]
        code.emit(Read(number, affine(0, [(prod(loads.extents), block), *places]), tensor, page, noc))


def _pass_on(frame: RaggedFrame, code: TableCode, number: int, share: Share) -> None:
    """Send the operand blocks that were read to the other members, once all of them have room."""
    target, noc = share.member_set[frame.core], frame.names.nocs[share.data_stream]
    counts, pages = frame.loads[number].counts, prod(frame.extents(number))
    await_grants(frame, code, share)
    if (counts == counts[0]).all() and counts[0]:
        code.emit(Multicast(number, ZERO, int(counts[0]) * pages, target, noc))
    elif counts.any():
        with code.turns(counts) as block:
            code.emit(Multicast(number, affine(0, [(pages, block)]), pages, target, noc))
    code.emit(SemInc(affine(share.arrived), target, 1, noc))
    if frame.stage.operands[number].buffers == 1 and len(counts) > 1:
        code.emit(Barrier())  # the next load lands on the same bytes


def _drain(frame: RaggedFrame, code: TableCode) -> None:
    """Hand over one block of the result: to DRAM, to the cores that read it from L1, or both."""
    stage, plan, names = frame.stage, frame.plan, frame.names
    code.emit(Wait(frame.out_cb, frame.block_pages))
    if stage.to_dram:
        with _block_pages(frame, code) as (offset, page):
            code.emit(Write(frame.out_cb, offset, names.dram[frame.nest.out], page, names.nocs[plan.store]))
        if not frame.keeps:
            code.emit(Barrier())
    if stage.shard:
        ready = affine(plan.ready + frame.core)
        code.emit(SemInc(ready, plan.announce_set, frame.block_pages, names.nocs[plan.announce]))
    code.emit(Pop(frame.out_cb, frame.block_pages))


def _gather(frame: RaggedFrame, code: TableCode) -> None:
    """Assemble the result in its cb, without the compute thread."""
    tensor = frame.names.dram[frame.nest.operands[0].storage]
    index_map, noc = frame.names.index_map[frame.stage.nest], frame.names.nocs[frame.plan.loads[0]]
    counts = frame.counts(Level.CORE, Level.BLOCK)
    if not counts.any():
        return
    with code.turns(counts):
        code.emit(Reserve(frame.out_cb, frame.block_pages))
        with _block_pages(frame, code) as (offset, page):
            code.emit(Gather(frame.out_cb, offset, tensor, index_map, page, noc))
        code.emit(Barrier(), Push(frame.out_cb, frame.block_pages))


@contextmanager
def _block_pages(frame: RaggedFrame, code: TableCode) -> Iterator[tuple[Affine, Affine]]:
    """Loop over the pages of one block of the result; yields the page in the cb and the page in the tensor."""
    rows, columns, _ = frame.block
    first = code.number(frame.out_pages())
    stride = TileGrid(frame.nest.shape).strides
    with code.loop(rows) as row, code.loop(columns) as column:
        page = first.plus(0, [(stride[-2], row), (stride[-1], column)])
        yield affine(0, [(columns, row), (1, column)]), page
