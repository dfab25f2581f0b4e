"""The read and the write thread of a core of a ragged stage.

The loads of a thread at one level are made together: all of them are issued before the first is waited for. Large ones
are made apart, in pieces.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod

import numpy as np

from compiler.codegen.code import Step, affine
from compiler.codegen.move import await_grants, grant
from compiler.codegen.plan import Share
from compiler.codegen.ragged import Level, RaggedFrame
from compiler.codegen.tables import Numbers, TableCode
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
    if frame.picks:
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
    whole = [number for number in numbers if not frame.in_pieces(number)]
    if whole:
        _load(frame, code, whole)
    for number in numbers:
        if number not in whole:
            _load_in_pieces(frame, code, number)
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
        _make_room(frame, code, number)
        if _reads(frame, number):
            _read(frame, code, number, frame.loads[number].counts, frame.loads[number].pages)
    if any(_reads(frame, number) for number in numbers):
        code.emit(Barrier())
    for number in numbers:
        share = frame.plan.shares[number]
        if share is not None and frame.leads(share):
            await_grants(frame, code, share)
        _hand_over(frame, code, number, frame.loads[number].counts)
        _settle(frame, code, number)


def _load_in_pieces(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Load an operand piece by piece: the next one is read while one is on its way to those that share it."""
    loads, share = frame.loads[number], frame.plan.shares[number]
    most = frame.piece(number)
    _make_room(frame, code, number)
    if share is not None and frame.leads(share):
        await_grants(frame, code, share)
    full, rest = loads.counts // most, loads.counts % most
    in_load = np.arange(len(loads.pages)) - np.repeat(np.cumsum(loads.counts) - loads.counts, loads.counts)
    in_full = in_load < np.repeat(full * most, loads.counts)
    for turns, sizes, pages in (
        (full, np.full(int(full.sum()), most), loads.pages[in_full]),
        (np.sign(rest), rest[rest > 0], loads.pages[~in_full]),
    ):
        if turns.any():
            with code.turns(turns):
                if _reads(frame, number):
                    _read(frame, code, number, sizes, pages)
                    code.emit(Barrier())
                _hand_over(frame, code, number, sizes)
    _settle(frame, code, number)


def _reads(frame: RaggedFrame, number: int) -> bool:
    """Whether this core reads operand `number` itself."""
    share = frame.plan.shares[number]
    return share is None or frame.leads(share)


def _make_room(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Reserve room for one load of an operand, and tell its leader."""
    pages = code.amount(frame.pages_loaded(number))
    if pages:
        code.emit(Reserve(number, pages))
    share = frame.plan.shares[number]
    if share is not None and not frame.leads(share):
        grant(frame, code, share)


def _read(frame: RaggedFrame, code: TableCode, number: int, counts: Numbers, pages: Numbers) -> None:
    """Issue the reads of `counts` operand blocks, from the write pointer on, whose first pages are `pages`."""
    if not counts.any():
        return
    access, extents = frame.nest.operands[number], frame.extents(number)
    tensor, noc = frame.tensor(number), frame.names.nocs[frame.plan.loads[number]]
    strides = frame.local_strides(number)
    with code.turns(counts) as block, ExitStack() as stack:
        first = code.number(pages)
        inner: list[Step] = [
            (axis, 1, stack.enter_context(code.loop(extent))) for axis, extent in enumerate(extents) if extent > 1
        ]
        page = first.plus(0, [(access.strides[axis], counter) for axis, _, counter in inner])
        if frame.stage.operands[number].from_l1:
            code.emit(Await(tensor, page))
        places = [(strides[axis], counter) for axis, _, counter in inner]
        code.emit(Read(number, affine(0, [(prod(extents), block), *places]), tensor, page, noc))


def _hand_over(frame: RaggedFrame, code: TableCode, number: int, counts: Numbers) -> None:
    """Push `counts` operand blocks that were read, or that the leader sends; a leader sends them on."""
    share = frame.plan.shares[number]
    if share is not None and frame.leads(share):
        _pass_on(frame, code, number, share, counts)
    elif share is not None:
        code.emit(SemWait(affine(share.arrived), 1))
    pages = code.amount(counts * prod(frame.extents(number)))
    if pages:
        code.emit(Push(number, pages))


def _pass_on(frame: RaggedFrame, code: TableCode, number: int, share: Share, counts: Numbers) -> None:
    """Send operand blocks that were read to the other members, all of which have room."""
    target, noc = share.member_set[frame.core], frame.names.nocs[share.data_stream]
    pages = prod(frame.extents(number))
    if counts.any() and (counts == counts[0]).all():
        code.emit(Multicast(number, ZERO, int(counts[0]) * pages, target, noc))
    elif counts.any():
        with code.turns(counts) as block:
            code.emit(Multicast(number, affine(0, [(pages, block)]), pages, target, noc))
    code.emit(SemInc(affine(share.arrived), target, 1, noc))


def _settle(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Before the next load lands on the bytes that are being sent, wait until they have left."""
    share, one = frame.plan.shares[number], frame.stage.operands[number].buffers == 1
    if share is not None and frame.leads(share) and one and len(frame.loads[number].counts) > 1:
        code.emit(Barrier())


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
