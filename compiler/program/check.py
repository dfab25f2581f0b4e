"""Everything that a device relies on, checked without any of the code that made the image.

The rules are in the modules that this one calls, each listed where it is checked:

- here: tensors and where they are, index maps, kernels, core sets, cbs, shards, sizes of programs;
- `check_code`: instructions and what they refer to;
- `check_routes`: routes on the machine's links, and that every transfer has its routes.

That a program runs to its end is for `check_tokens`; that its routes cannot block one another is for the router.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod

import numpy as np

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.numerics import DType, Expr, ScalarNode, ScalarOp, TileGrid
from compiler.numerics.expr import COMPARISONS
from compiler.numerics.layout import page_bytes, to_pages
from compiler.program.check_code import check_code
from compiler.program.check_routes import check_routes
from compiler.program.image import (
    CbKind,
    CircularBuffer,
    CoreProgram,
    CoreSet,
    DramPlace,
    Epoch,
    Image,
    IndexMap,
    Kernel,
    Role,
    ShardPlace,
    Tensor,
)
from compiler.program.instructions import Gather, Read, Sense, Take, Write
from compiler.program.pages import channel_bytes
from compiler.target import Machine

LISTED = 12
"""Violations that a diagnostic spells out."""


def check_image(image: Image) -> None:
    """Raise `DiagnosticError` with one diagnostic (E0511) that lists the violated rules, if there are any."""
    found = list(violations(image))
    if not found:
        return
    rules = "a rule" if len(found) == 1 else f"{len(found)} rules"
    more = (f"and {len(found) - LISTED} more",) if len(found) > LISTED else ()
    message = f"the image `{image.name}` violates {rules} that a device relies on: {found[0]}"
    raise DiagnosticError((Diagnostic("E0511", message, notes=(*found[1:LISTED], *more)),))


def violations(image: Image) -> Iterator[str]:
    """Sentences, one per violated rule. What refers to tables is checked only if the tables themselves are sound."""
    tables = [*_tables(image)]
    yield from tables
    if tables:
        return
    for number, epoch in enumerate(image.epochs):
        found = [*_epoch(image, number, epoch)]
        found = found or [text for program in epoch.programs for text in check_code(image, number, epoch, program)]
        found = found or [*check_routes(image, epoch)]
        yield from (f"epoch {number}: {text}" for text in found)


def _tables(image: Image) -> Iterator[str]:
    names = Counter((tensor.name, tensor.role is Role.OUTPUT) for tensor in image.tensors if tensor.role in _NAMED)
    yield from (
        f"{count} tensors that are fed or fetched are called `{n}`" for (n, _), count in names.items() if count > 1
    )
    for number, tensor in enumerate(image.tensors):
        yield from (f"tensor t{number} (`{tensor.name}`): {text}" for text in _tensor(image, tensor))
    for number, index_map in enumerate(image.index_maps):
        yield from (f"index map map{number}: {text}" for text in _index_map(index_map))
    for number, kernel in enumerate(image.kernels):
        yield from (f"kernel{number}: {text}" for text in _kernel(kernel))
    yield from _fed_apart(image)
    yield from _written_flags(image)


def _written_flags(image: Image) -> Iterator[str]:
    """A tensor that keeps flags is written by some program."""
    flagged = {number for number, tensor in enumerate(image.tensors) if tensor.flagged}
    if not flagged:
        return
    programs = [program for epoch in image.epochs for program in epoch.programs]
    written = {
        at.tensor
        for program in programs
        for code in (program.read, program.write)
        for at in code.instructions
        if isinstance(at, Write)
    }
    yield from (f"tensor t{number} keeps flags, but nobody writes it" for number in sorted(flagged - written))


_NAMED = (Role.INPUT, Role.WEIGHT, Role.STATE, Role.OUTPUT)


def _tensor(image: Image, tensor: Tensor) -> Iterator[str]:
    """Extents are positive; a constant has its bytes and nothing else has any; it lies where there is memory; what is
    said not to live is zero in a constant; flags are kept of temporaries in DRAM."""
    if any(extent < 1 for extent in tensor.shape):
        yield f"shape {list(tensor.shape)} has an extent below 1"
        return
    size = prod(tensor.shape) * tensor.dtype.itemsize if tensor.role is Role.CONSTANT else 0
    if len(tensor.data) != size:
        yield f"{len(tensor.data)} bytes of data instead of {size}"
    elif tensor.live is not None:
        yield from _live(tensor)
    if tensor.flagged and (tensor.role is not Role.TEMPORARY or not isinstance(tensor.place, DramPlace)):
        yield "flags are kept only of temporaries in DRAM"
    if isinstance(tensor.place, DramPlace):
        yield from _dram_place(image.machine, tensor, tensor.place)
    else:
        yield from _shard_place(image, tensor, tensor.place)


def _live(tensor: Tensor) -> Iterator[str]:
    dims, live = TileGrid(tensor.shape).dims, tensor.live
    if live is None or live.dims != dims or len(live.bits) != -(-prod(dims) // 8):
        yield f"the pages that live are not marked over {list(dims)}"
    elif tensor.role is Role.CONSTANT:
        array = np.frombuffer(tensor.data, tensor.dtype.numpy).reshape(tensor.shape)
        zero = ~to_pages(array != 0, DType.BOOL).any(axis=1)
        wrong = np.flatnonzero(~(live.array.ravel() | zero))
        if len(wrong):
            yield f"page {wrong[0]} is said not to live and is not zero"


def _dram_place(machine: Machine, tensor: Tensor, place: DramPlace) -> Iterator[str]:
    end = place.base + _channel_bytes(machine, tensor)
    if place.base < 0 or end > machine.dram.channel_bytes:
        yield f"bytes {place.base:#x} to {end:#x} are outside a DRAM channel of {machine.dram.channel_bytes:#x} bytes"
    if place.base % machine.dram_alignment:
        yield f"DRAM address {place.base:#x} is not aligned to {machine.dram_alignment}"


def _channel_bytes(machine: Machine, tensor: Tensor) -> int:
    return channel_bytes(machine, tensor.dtype, TileGrid(tensor.shape).pages, tensor.flagged)


def _shard_place(image: Image, tensor: Tensor, place: ShardPlace) -> Iterator[str]:
    """The ways cut the page axes into blocks that are not empty, one for each owner, or each page that lives is dealt
    to one owner; owners are distinct cores."""
    if tensor.role is not Role.TEMPORARY:
        yield f"a shard is temporary, not {tensor.role.value}"
    if not 0 <= place.epoch < len(image.epochs):
        yield f"there is no epoch {place.epoch}"
    dealt = [*(_dealt(tensor, place) if place.pages else _cut(tensor, place))]
    if dealt:
        yield from dealt
        return
    blocks = len(place.pages) or prod(place.ways)
    if len(place.owners) != blocks or len(set(place.owners)) < len(place.owners):
        yield f"{blocks} blocks need as many distinct owners, not {list(place.owners)}"
    if any(not 0 <= owner < len(image.machine.cores) for owner in place.owners):
        yield f"the machine has cores 0 to {len(image.machine.cores) - 1}, not all of {list(place.owners)}"
    if not 0 <= place.ready <= image.machine.semaphores - len(place.owners):
        yield f"semaphores {place.ready} to {place.ready + len(place.owners) - 1} are not all there"


def _cut(tensor: Tensor, place: ShardPlace) -> Iterator[str]:
    dims = TileGrid(tensor.shape).dims
    if len(place.ways) != len(dims) or any(
        not 1 <= ways <= extent or (ways - 1) * -(-extent // ways) >= extent
        for ways, extent in zip(place.ways, dims, strict=False)
    ):
        yield f"ways {list(place.ways)} do not cut pages {list(dims)} into blocks that are not empty"


def _dealt(tensor: Tensor, place: ShardPlace) -> Iterator[str]:
    held = [page for pages in place.pages for page in pages]
    stored = [*range(TileGrid(tensor.shape).pages)]
    if tensor.live is not None and tensor.live.dims == TileGrid(tensor.shape).dims:
        stored = np.flatnonzero(tensor.live.array.ravel()).tolist()
    if place.ways:
        yield f"pages are dealt one by one and cut in ways {list(place.ways)} as well"
    if not all(place.pages):
        yield "an owner is dealt no page"
    if sorted(held) != stored:
        yield f"{len(held)} pages are dealt; each of the {len(stored)} that live goes to one owner, and no other"


def _fed_apart(image: Image) -> Iterator[str]:
    """What is in place before the first epoch does not overlap in DRAM."""
    fed = [t for t in image.tensors if t.role in (Role.INPUT, Role.WEIGHT, Role.STATE, Role.CONSTANT)]
    yield from _overlaps(image.machine, fed)


def _overlaps(machine: Machine, tensors: Iterable[Tensor]) -> Iterator[str]:
    ranges = sorted(
        (tensor.place.base, tensor.place.base + _channel_bytes(machine, tensor), tensor.name)
        for tensor in tensors
        if isinstance(tensor.place, DramPlace)
    )
    for (_, end, first), (start, _, second) in pairwise(ranges):
        if start < end:
            yield f"`{first}` and `{second}` overlap in DRAM at {start:#x}"


def _index_map(index_map: IndexMap) -> Iterator[str]:
    """One base, one row of steps and one extent per source axis; one step per digit; the digits count the result."""
    if any(value < 1 for value in (*index_map.shape, *index_map.digits, *index_map.extents)):
        yield "an extent or a radix is below 1"
    if not len(index_map.base) == len(index_map.steps) == len(index_map.extents):
        yield "base, steps and extents are not of one length"
    if any(len(row) != len(index_map.digits) for row in index_map.steps):
        yield "a row of steps has not one step per digit"
    if prod(index_map.digits) != prod(index_map.shape):
        yield f"digits {list(index_map.digits)} do not count the elements of shape {list(index_map.shape)}"


def _kernel(kernel: Kernel) -> Iterator[str]:
    """Nodes refer to earlier nodes and to operands; types fit; an operand is named by one node at most."""
    if not kernel.expr.nodes:
        yield "the expression is empty"
    numbers = [node.value for node in kernel.expr.nodes if node.op is ScalarOp.ARG]
    if len(set(numbers)) < len(numbers):
        yield "an operand is named by two nodes"
    for index, node in enumerate(kernel.expr.nodes):
        text = _node_shape(kernel, index, node) or _node_types(kernel.expr, node)
        if text:
            yield f"node %{index} ({node.op.value}): {text}"


def _node_shape(kernel: Kernel, index: int, node: ScalarNode) -> str:
    if len(node.args) != node.op.arity:
        return f"{len(node.args)} arguments instead of {node.op.arity}"
    if any(not 0 <= arg < index for arg in node.args):
        return "an argument is not an earlier node"
    if node.op is ScalarOp.ARG:
        if not isinstance(node.value, int) or not 0 <= node.value < len(kernel.operands):
            return f"there is no operand {node.value}"
        declared = kernel.operands[node.value].dtype
        return "" if declared is node.dtype else f"operand {node.value} is {declared.value}, not {node.dtype.value}"
    if node.op is ScalarOp.CONST and not node.dtype.is_float and not isinstance(node.value, int):
        return f"{node.value!r} is no constant of type {node.dtype.value}"
    return ""


def _node_types(expr: Expr, node: ScalarNode) -> str:
    types = [expr.nodes[arg].dtype for arg in node.args]
    if node.op in (ScalarOp.ARG, ScalarOp.CONST, ScalarOp.CAST):
        return ""
    if node.op in COMPARISONS:
        right = types[0] is types[1] and node.dtype is DType.BOOL
    elif node.op is ScalarOp.WHERE:
        right = types == [DType.BOOL, node.dtype, node.dtype]
    else:
        right = set(types) == {node.dtype}
    return "" if right else f"arguments of types {', '.join(t.value for t in types)} do not give {node.dtype.value}"


def _epoch(image: Image, number: int, epoch: Epoch) -> Iterator[str]:
    numbers = [program.core for program in epoch.programs]
    if numbers != sorted(set(numbers)):
        yield "core numbers do not ascend"
    if any(not 0 <= core < len(image.machine.cores) for core in numbers):
        yield f"a program is for a core that the machine does not have (it has 0 to {len(image.machine.cores) - 1})"
        return
    for index, core_set in enumerate(epoch.core_sets):
        yield from (f"core set {index}: {text}" for text in _core_set(image.machine, core_set))
    by_core = {program.core: program for program in epoch.programs}
    for program in epoch.programs:
        yield from (f"core {program.core}: {text}" for text in _program(image.machine, program))
    yield from _shards(image, number, by_core)
    yield from _dram_in_use(image, epoch)


def _core_set(machine: Machine, core_set: CoreSet) -> Iterator[str]:
    """Distinct cores of the machine, at least one; a multicast set is every live core of its rectangle."""
    cores = core_set.cores
    if not cores or len(set(cores)) < len(cores) or any(not 0 <= core < len(machine.cores) for core in cores):
        yield f"{list(cores)} are not distinct cores of the machine"
        return
    if core_set.multicast:
        members = [machine.cores[core] for core in cores]
        left, right = min(m.x for m in members), max(m.x for m in members)
        top, bottom = min(m.y for m in members), max(m.y for m in members)
        inside = {n for n, c in enumerate(machine.cores) if left <= c.x <= right and top <= c.y <= bottom}
        if inside != set(cores):
            yield f"a multicast reaches every core of a rectangle; {sorted(inside - set(cores))} are left out"


def _program(machine: Machine, program: CoreProgram) -> Iterator[str]:
    """No more cbs and instructions than the core has room for; cbs lie in L1, aligned, and do not overlap."""
    if len(program.buffers) > machine.circular_buffers:
        yield f"{len(program.buffers)} cbs; a core has {machine.circular_buffers}"
    if program.room > machine.program_instructions:
        yield f"{program.room} instructions; a core has room for {machine.program_instructions} (tables count as well)"
    for number, buffer in enumerate(program.buffers):
        yield from (f"cb{number}: {text}" for text in _buffer(machine, buffer))
    ranges = sorted((b.address, _end(b), number) for number, b in enumerate(program.buffers))
    for (_, end, first), (start, _, second) in pairwise(ranges):
        if start < end:
            yield f"cb{first} and cb{second} overlap at {start:#x}"


def _buffer(machine: Machine, buffer: CircularBuffer) -> Iterator[str]:
    if buffer.checked and not buffer.finite:
        yield "it is checked for a promise that is not made"
    if buffer.capacity < 1:
        yield f"a capacity of {buffer.capacity} pages"
    if buffer.address % machine.l1_alignment:
        yield f"address {buffer.address:#x} is not aligned to {machine.l1_alignment}"
    if buffer.address < machine.l1_base or _end(buffer) > machine.l1_bytes:
        yield (
            f"bytes {buffer.address:#x} to {_end(buffer):#x} are outside the L1 of programs, "
            f"{machine.l1_base:#x} to {machine.l1_bytes:#x}"
        )


def _end(buffer: CircularBuffer) -> int:
    return buffer.address + buffer.capacity * page_bytes(buffer.dtype)


def _shards(image: Image, number: int, by_core: Mapping[int, CoreProgram]) -> Iterator[str]:
    """A block of a shard is exactly a cb of kind `shard` of its owner; no cb is a block of two tensors."""
    claimed: dict[tuple[int, int], list[str]] = defaultdict(list)
    for tensor in image.tensors:
        if isinstance(tensor.place, ShardPlace) and tensor.place.epoch == number:
            for index, owner in enumerate(tensor.place.owners):
                claimed[owner, tensor.place.cb].append(tensor.name)
                yield from _owned(tensor, tensor.place, index, by_core.get(owner))
    for (core, cb), names in claimed.items():
        if len(names) > 1:
            yield f"cb{cb} of core {core} holds blocks of {' and '.join(f'`{name}`' for name in names)}"


def _owned(tensor: Tensor, place: ShardPlace, index: int, program: CoreProgram | None) -> Iterator[str]:
    label = f"block {index} of `{tensor.name}`"
    if program is None or not 0 <= place.cb < len(program.buffers):
        yield f"{label}: its owner, core {place.owners[index]}, has no cb{place.cb}"
        return
    buffer = program.buffers[place.cb]
    pages = len(place.pages[index]) if place.pages else block_pages(TileGrid(tensor.shape).dims, place.ways, index)
    if (buffer.kind, buffer.dtype, buffer.capacity) != (CbKind.SHARD, tensor.dtype, pages):
        yield f"{label}: cb{place.cb} of core {program.core} is not a shard of {pages} pages of {tensor.dtype.value}"


def block_pages(dims: Sequence[int], ways: Sequence[int], index: int) -> int:
    """Pages of block number `index` when page axes `dims` are cut in `ways`."""
    pages = 1
    for extent, count in zip(reversed(dims), reversed(ways), strict=True):
        index, position = divmod(index, count)
        length = -(-extent // count)
        pages *= min(length, extent - position * length)
    return pages


def _dram_in_use(image: Image, epoch: Epoch) -> Iterator[str]:
    """What an epoch writes overlaps nothing else that the epoch uses."""
    used: set[int] = set()
    written: set[int] = set()
    for program in epoch.programs:
        for code in (program.read, program.write):
            for instruction in code.instructions:
                if isinstance(instruction, Write):
                    written.add(instruction.tensor)
                elif isinstance(instruction, Read | Sense | Gather | Take):
                    used.add(instruction.tensor)
    known = range(len(image.tensors))
    for text in _overlaps(image.machine, [image.tensors[t] for t in sorted(used | written) if t in known]):
        if written:
            yield text
