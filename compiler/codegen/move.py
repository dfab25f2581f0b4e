"""The read and the write thread of a core: operands in, results out."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod

from compiler.codegen.code import CodeBuilder, Counter, Step, affine
from compiler.codegen.frame import BoxFrame, Frame
from compiler.codegen.plan import Share
from compiler.numerics import TileGrid
from compiler.partition.nest import GatherBody, TakeBody
from compiler.partition.stages import deliveries
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
    Take,
    Thread,
    Wait,
    Write,
)


def read_code(frame: BoxFrame, origin: int) -> Code:
    """Return the read thread: it loads its operands in the order in which they are needed."""
    code = CodeBuilder(origin)
    if isinstance(frame.nest.body, GatherBody):
        _gather(frame, code)
    elif isinstance(frame.nest.body, TakeBody):
        _take(frame, code, frame.nest.body, 0, [])
    else:
        _loads(frame, code, Thread.READ, 0, [])
    return code.build()


def write_code(frame: BoxFrame, origin: int) -> Code:
    """Return the write thread: it loads what is assigned to it, and stores and announces the result unit by unit."""
    code = CodeBuilder(origin)
    _units(frame, code, 0, [])
    if frame.stage.to_dram and frame.keeps:
        code.emit(Barrier())
    return code.build()


def _loads(frame: BoxFrame, code: CodeBuilder, thread: Thread, level: int, counters: Sequence[Counter]) -> None:
    """Emit the loads of `thread` at `level` and deeper."""
    levels = [plan.level for plan in frame.stage.operands if plan.thread is thread]
    _loads_at(frame, code, thread, level, counters)
    if any(deeper > level for deeper in levels):
        with code.loop(frame.loops[level].count) as counter:
            _loads(frame, code, thread, level + 1, [*counters, counter])


def _loads_at(frame: BoxFrame, code: CodeBuilder, thread: Thread, level: int, counters: Sequence[Counter]) -> None:
    """Emit the loads of `thread` at `level`."""
    plans = enumerate(frame.stage.operands)
    _load(frame, code, [n for n, plan in plans if plan.thread is thread and plan.level == level], counters)


def _load(frame: BoxFrame, code: CodeBuilder, numbers: Sequence[int], counters: Sequence[Counter]) -> None:
    """Load operands `numbers`, which are of one level: all loads are issued before the first is waited for."""
    for number in numbers:
        _begin_load(frame, code, number, counters)
    if any(_reads(frame, number) for number in numbers):
        code.emit(Barrier())
    for number in numbers:
        _hand_over(frame, code, number)


def _units(frame: BoxFrame, code: CodeBuilder, level: int, counters: Sequence[Counter]) -> None:
    """Emit the write thread: loads on the way, the handing over of a unit at its level."""
    if level == frame.unit_level:
        if not frame.picks:
            _loads(frame, code, Thread.WRITE, level, counters)
        _drain(frame, code, counters)
        return
    _loads_at(frame, code, Thread.WRITE, level, counters)
    with code.loop(frame.loops[level].count) as counter:
        _units(frame, code, level + 1, [*counters, counter])


def _reads(frame: BoxFrame, number: int) -> bool:
    """Whether this core reads operand `number` itself."""
    share = frame.plan.shares[number]
    return share is None or frame.leads(share)


def _begin_load(frame: BoxFrame, code: CodeBuilder, number: int, counters: Sequence[Counter]) -> None:
    """Make room for one load of an operand, and issue its reads or tell its leader."""
    extents, share = frame.extents(number), frame.plan.shares[number]
    code.emit(Reserve(number, prod(extents)))
    if share is None or frame.leads(share):
        _read_block(frame, code, number, counters, extents)
    else:
        grant(frame, code, share)


def _hand_over(frame: BoxFrame, code: CodeBuilder, number: int) -> None:
    """Push a block that was read, or that the leader sends; a leader sends it on."""
    pages, share = prod(frame.extents(number)), frame.plan.shares[number]
    if share is not None and frame.leads(share):
        _pass_on(frame, code, number, pages, share)
    elif share is not None:
        code.emit(SemWait(affine(share.arrived), 1))
    code.emit(Push(number, pages))


def grant(frame: Frame, code: CodeBuilder, share: Share) -> None:
    """Tell the leader of a shared operand that there is room for the next load."""
    noc = frame.names.nocs[share.grant_stream]
    code.emit(SemInc(affine(share.granted), share.leader_set[frame.core], 1, noc))


def _read_block(
    frame: BoxFrame, code: CodeBuilder, number: int, counters: Sequence[Counter], extents: Sequence[int]
) -> None:
    tensor, noc = frame.tensor(number), frame.names.nocs[frame.plan.loads[number]]
    strides = frame.local_strides(number)
    for fetch in fetches(frame, number):
        with ExitStack() as stack:
            inner: list[Step] = [
                (axis, 1, stack.enter_context(code.loop(extent))) for axis, extent in enumerate(extents) if extent > 1
            ]
            page = frame.page(number, counters, inner)
            if frame.stage.operands[number].from_l1:
                code.emit(Await(tensor, page))
            offset = affine(0, [(strides[axis], counter) for axis, _, counter in inner])
            code.emit(fetch(number, offset, tensor, page, noc))
        if fetch is Sense:
            code.emit(Barrier())


def fetches(frame: Frame, number: int) -> tuple[type[Sense | Read], ...]:
    """What is done for every page of operand `number`: where DRAM keeps flags, these come first."""
    return (Sense, Read) if frame.senses(number) else (Read,)


def _pass_on(frame: BoxFrame, code: CodeBuilder, number: int, pages: int, share: Share) -> None:
    """Send the block that was read to the other members, once all of them have room."""
    target = share.member_set[frame.core]
    noc = frame.names.nocs[share.data_stream]
    await_grants(frame, code, share)
    code.emit(Multicast(number, ZERO, pages, target, noc), SemInc(affine(share.arrived), target, 1, noc))
    plan = frame.stage.operands[number]
    if plan.buffers == 1 and deliveries(plan.level, frame.loops) > 1:
        code.emit(Barrier())  # the next block lands on the same bytes


def await_grants(frame: Frame, code: CodeBuilder, share: Share) -> None:
    """Wait until all members that share an operand with this core, their leader, have room for the next load."""
    others = len(frame.core_sets[share.member_set[frame.core]].cores) - 1
    code.emit(SemWait(affine(share.granted), others))


def _drain(frame: BoxFrame, code: CodeBuilder, counters: Sequence[Counter]) -> None:
    """Hand over one unit of the result: to DRAM, to the cores that read it from L1, or both."""
    stage, plan = frame.stage, frame.plan
    storage = frame.nest.out
    code.emit(Wait(frame.out_cb, frame.unit))
    if stage.to_dram:
        with _unit_pages(frame, code, counters) as (offset, page):
            code.emit(Write(frame.out_cb, offset, frame.names.dram[storage], page, frame.names.nocs[plan.store]))
        if not frame.keeps:
            code.emit(Barrier())
    if stage.shard:
        ready = affine(plan.ready + frame.core)
        code.emit(SemInc(ready, plan.announce_set, frame.unit, frame.names.nocs[plan.announce]))
    code.emit(Pop(frame.out_cb, frame.unit))


@contextmanager
def _unit_pages(frame: BoxFrame, code: CodeBuilder, counters: Sequence[Counter]) -> Iterator[tuple[Affine, Affine]]:
    """Loop over the pages of one unit of the result; yields the page in the cb and the page in the tensor."""
    width = frame.unit_width
    with code.loop(frame.unit // width) as row, code.loop(width) as column:
        page = frame.out_page(counters, [(frame.rank - 2, 1, row), (frame.rank - 1, 1, column)])
        yield affine(0, [(width, row), (1, column)]), page


def _gather(frame: BoxFrame, code: CodeBuilder) -> None:
    """Assemble the result in its cb, without the compute thread."""
    tensor = frame.names.dram[frame.nest.operands[0].storage]
    index_map = frame.names.index_map[frame.stage.nest]
    noc = frame.names.nocs[frame.plan.loads[0]]
    with ExitStack() as stack:
        counters = [stack.enter_context(code.loop(loop.count)) for loop in frame.loops[: frame.unit_level]]
        code.emit(Reserve(frame.out_cb, frame.unit))
        with _unit_pages(frame, code, counters) as (offset, page):
            code.emit(Gather(frame.out_cb, offset, tensor, index_map, page, noc))
        code.emit(Barrier(), Push(frame.out_cb, frame.unit))


def _take(frame: BoxFrame, code: CodeBuilder, body: TakeBody, level: int, counters: Sequence[Counter]) -> None:
    """Emit the loops from `level` on that load the numbers of rows and put the result together from these rows."""
    held = prod(frame.extents(0)) if frame.stage.operands[0].level == level else 0
    if held:
        _load(frame, code, [0], counters)
        code.emit(Wait(0, held))
    if level == frame.unit_level:
        _take_unit(frame, code, body, counters)
    else:
        with code.loop(frame.loops[level].count) as counter:
            _take(frame, code, body, level + 1, [*counters, counter])
    if held:
        code.emit(Pop(0, held))


def _take_unit(frame: BoxFrame, code: CodeBuilder, body: TakeBody, counters: Sequence[Counter]) -> None:
    tensor, noc = frame.tensor(1), frame.names.nocs[frame.plan.loads[1]]
    rows, width = TileGrid(frame.nest.shape).matrix_shape[-2], frame.unit_width
    code.emit(Reserve(frame.out_cb, frame.unit))
    with code.loop(frame.unit // width) as row, code.loop(width) as column:
        inner: list[Step] = [(frame.rank - 2, 1, row), (frame.rank - 1, 1, column)]
        code.emit(
            Take(
                cb=frame.out_cb,
                offset=affine(0, [(width, row), (1, column)]),
                tensor=tensor,
                page=frame.picked_page(1, counters, inner),
                step=body.step,
                extent=body.extent,
                indices=0,
                where=frame.used_at(0, counters, {}, inner),
                across=body.across,
                rows=rows,
                row_tile=frame.tile_coordinate(frame.rank - 2, counters, {}, inner),
                noc=noc,
            )
        )
    code.emit(Barrier(), Push(frame.out_cb, frame.unit))
