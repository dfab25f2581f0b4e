"""The read and the write thread of a core of a ragged stage.

The loads of a thread at one level are made together: all of them are issued before the first is waited for. Large ones
are made apart, in pieces, and the next piece, be it of the next load, is read while one is handed over.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod

import numpy as np

from compiler.codegen.code import Step, affine
from compiler.codegen.move import await_grants, fetches, grant
from compiler.codegen.plan import Share
from compiler.codegen.ragged import Level, RaggedFrame
from compiler.codegen.tables import Number, Numbers, TableCode
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
    Sense,
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
    if level is Level.CORE:
        for number in frame.held(thread):
            if frame.in_pieces(number):
                _read_first_piece(frame, code, number)
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
            _read(frame, code, number, frame.loads[number].counts, frame.loads[number].pages, Number(0))
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
    pieces, blocks = frame.pieces(number)
    _make_room(frame, code, number)
    share = frame.plan.shares[number]
    if share is not None and frame.leads(share):
        await_grants(frame, code, share)
    if pieces.any():
        with code.turns(pieces):
            if _reads(frame, number):
                _read_next_piece(frame, code, number, blocks)
            _hand_over(frame, code, number, blocks)


def _read_next_piece(frame: RaggedFrame, code: TableCode, number: int, blocks: Numbers) -> None:
    """Wait for a piece, and for the flags of the next one, of which the reads are then issued."""
    place = code.number(blocks * prod(frame.extents(number)))
    counts, pages = np.append(blocks[1:], 0), frame.loads[number].pages[blocks[0] :]
    *flags, read = fetches(frame, number)
    for fetch in flags:
        _fetch(frame, code, fetch, number, counts, pages, place)
    code.emit(Barrier())
    _fetch(frame, code, read, number, counts, pages, place)


def _read_first_piece(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Issue the reads of the first piece of an operand, ahead of its first load."""
    first = frame.pieces(number)[1][:1]
    if first.any() and _reads(frame, number):
        code.emit(Reserve(number, int(first[0]) * prod(frame.extents(number))))
        _read(frame, code, number, first, frame.loads[number].pages[: first[0]], Number(0))


def _pages_ahead(frame: RaggedFrame, number: int) -> Numbers:
    """Pages of operand `number` that this core reads ahead of each load's end: the first piece that is left."""
    pieces, blocks = frame.pieces(number)
    ahead: Numbers = np.append(blocks, 0)[np.cumsum(pieces)] * prod(frame.extents(number))
    return ahead


def _reads(frame: RaggedFrame, number: int) -> bool:
    """Whether this core reads operand `number` itself."""
    share = frame.plan.shares[number]
    return share is None or frame.leads(share)


def _make_room(frame: RaggedFrame, code: TableCode, number: int) -> None:
    """Reserve room for one load of an operand and for what is read ahead, and tell its leader."""
    loaded = frame.pages_loaded(number)
    if frame.in_pieces(number) and _reads(frame, number):
        loaded = loaded + _pages_ahead(frame, number)
    pages = code.amount(loaded)
    if pages:
        code.emit(Reserve(number, pages))
    share = frame.plan.shares[number]
    if share is not None and not frame.leads(share):
        grant(frame, code, share)


def _read(frame: RaggedFrame, code: TableCode, number: int, counts: Numbers, pages: Numbers, place: Number) -> None:
    """Issue the reads of `counts` operand blocks, see `_fetch`, after their flags have arrived."""
    for fetch in fetches(frame, number):
        _fetch(frame, code, fetch, number, counts, pages, place)
        if fetch is Sense and counts.any():
            code.emit(Barrier())


def _fetch(
    frame: RaggedFrame,
    code: TableCode,
    fetch: type[Sense | Read],
    number: int,
    counts: Numbers,
    pages: Numbers,
    place: Number,
) -> None:
    """Issue what is done for every page of `counts` operand blocks, whose first pages are `pages`, from page `place`
    after the write pointer on."""
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
        code.emit(fetch(number, place.plus(0, [(prod(extents), block), *places]), tensor, page, noc))


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
    pages = code.amount(counts * prod(frame.extents(number)))
    if pages:
        code.emit(Multicast(number, ZERO, pages, target, noc))
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
