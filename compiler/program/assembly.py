"""The image as text, for people, which reads back to an equal image.

One thing per line, `;` starts a remark inside code. Lines that begin with `|` belong to the line before them: the text
of the machine or of a source, the bytes of a constant, the values of a table. Cores that run the same programs are
printed once. The remark `; #3` names the origin of an instruction; what follows it is for the reader.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from compiler.diagnostics import Source
from compiler.numerics import Expr
from compiler.program.assembly_parser import parse_image
from compiler.program.image import (
    Code,
    CoreProgram,
    CoreSet,
    DramPlace,
    Epoch,
    Hop,
    Image,
    IndexMap,
    Kernel,
    MulticastRoute,
    Operand,
    Origin,
    Route,
    ShardPlace,
    Spread,
    Tensor,
)
from compiler.program.instructions import End, Loop
from compiler.program.syntax import format_instruction, format_number
from compiler.target import Coord, machine_text

__all__ = ["parse_image", "print_image"]

BYTES_PER_LINE = 48
VALUES_PER_LINE = 24
_REMARK_COLUMN = 56


def print_image(image: Image) -> str:
    """The assembly text of an image whose epochs list their programs by ascending core."""
    return "\n".join(_lines(image)) + "\n"


def _lines(image: Image) -> Iterator[str]:
    yield f"image {quoted(image.name)}"
    for resource, cycles in image.bound:
        yield f"bound {quoted(resource)} {cycles}"
    yield "machine"
    yield from _block(machine_text(image.machine))
    for source in image.sources:
        yield from _source(source)
    for number, origin in enumerate(image.origins):
        yield f"origin #{number} {_origin(origin)}"
    for number, tensor in enumerate(image.tensors):
        yield from _tensor(number, tensor)
    for number, index_map in enumerate(image.index_maps):
        yield _index_map(number, index_map)
    for number, kernel in enumerate(image.kernels):
        yield from _kernel(number, kernel)
    for number, epoch in enumerate(image.epochs):
        yield from _epoch(number, epoch, image.origins)


def quoted(text: str) -> str:
    return json.dumps(text)


def _block(text: str) -> Iterator[str]:
    yield from (f"| {line}" for line in text.split("\n"))


def _source(source: Source) -> Iterator[str]:
    yield f"source {quoted(source.name)}"
    yield from _block(source.text)


def _origin(origin: Origin) -> str:
    span = origin.span
    if span is None:
        return quoted(origin.stage)
    return (
        f"{quoted(origin.stage)} at {quoted(span.source)} {span.line}:{span.column}-{span.end_line}:{span.end_column}"
    )


def _tensor(number: int, tensor: Tensor) -> Iterator[str]:
    shape = ", ".join(str(extent) for extent in tensor.shape)
    yield (
        f"tensor t{number} {quoted(tensor.name)} {tensor.dtype.value}[{shape}] {tensor.role.value} {_place(tensor)}"
        f"{_live(tensor)}{' finite' if tensor.finite else ''}{' flagged' if tensor.flagged else ''}"
    )
    for start in range(0, len(tensor.data), BYTES_PER_LINE):
        yield f"| {tensor.data[start : start + BYTES_PER_LINE].hex()}"


def _place(tensor: Tensor) -> str:
    place = tensor.place
    if isinstance(place, DramPlace):
        return f"dram {place.base:#x}"
    return (
        f"shard epoch {place.epoch} ways {list(place.ways)} owners {list(place.owners)} "
        f"cb {place.cb} ready {place.ready}{_dealt(place)}"
    )


def _dealt(place: ShardPlace) -> str:
    return f" pages {[list(pages) for pages in place.pages]}" if place.pages else ""


def _live(tensor: Tensor) -> str:
    return f" live {list(tensor.live.dims)}:{tensor.live.bits.hex()}" if tensor.live else ""


def _index_map(number: int, index_map: IndexMap) -> str:
    steps = [list(row) for row in index_map.steps]
    return (
        f"map map{number} shape {list(index_map.shape)} digits {list(index_map.digits)} base {list(index_map.base)} "
        f"steps {steps} extents {list(index_map.extents)}"
    )


def _kernel(number: int, kernel: Kernel) -> Iterator[str]:
    yield f"kernel kernel{number}({', '.join(_operand(operand) for operand in kernel.operands)})"
    yield from _expr(kernel.expr)


def _operand(operand: Operand) -> str:
    return operand.dtype.value + ("" if operand.spread is Spread.NONE else f" {operand.spread.value}")


def _expr(expr: Expr) -> Iterator[str]:
    for number, node in enumerate(expr.nodes):
        arguments = ", ".join(f"%{arg}" for arg in node.args) if node.args else format_number(node.value)
        yield f"  %{number} = {node.op.value}.{node.dtype.value} {arguments}"


def _epoch(number: int, epoch: Epoch, origins: Sequence[Origin]) -> Iterator[str]:
    yield f"epoch {number}"
    for index, core_set in enumerate(epoch.core_sets):
        yield f"set set{index} {_core_set(core_set)}"
    for cores, program in _grouped(epoch.programs):
        yield f"cores {', '.join(str(core) for core in cores)}"
        yield from _program(program, origins)
    for route in epoch.routes:
        yield _route(route)


def _core_set(core_set: CoreSet) -> str:
    return f"{'multicast' if core_set.multicast else 'list'} {list(core_set.cores)}"


def _coord(coord: Coord) -> str:
    return f"{coord.x},{coord.y}"


def _route(route: Route) -> str:
    far = f"set{route.targets}" if isinstance(route, MulticastRoute) else _coord(route.dst)
    return f"route noc{route.noc} {_coord(route.src)} -> {far}:{''.join(_hops(route.src, route.hops))}"


def _hops(src: Coord, hops: Iterable[Hop]) -> Iterator[str]:
    """Each hop as ` 1,0>2,0/3` (from, to, virtual channel), without what it has in common with the hop before."""
    at, vc = src, 0
    for hop in hops:
        start = "" if hop.src == at else _coord(hop.src)
        channel = "" if hop.vc == vc else f"/{hop.vc}"
        yield f" {start}>{_coord(hop.dst)}{channel}"
        at, vc = hop.dst, hop.vc


def _grouped(programs: Iterable[CoreProgram]) -> list[tuple[list[int], CoreProgram]]:
    """Cores with equal buffers and code, in the order of the first of each group."""
    groups: dict[tuple[object, ...], tuple[list[int], CoreProgram]] = {}
    for program in programs:
        # Printed code tells apart what compares equal: 0.0 and -0.0, 1 and 1.0.
        code = tuple(tuple(_code(thread, ())) for thread in (program.read, program.compute, program.write))
        groups.setdefault((program.buffers, code), ([], program))[0].append(program.core)
    return list(groups.values())


def _program(program: CoreProgram, origins: Sequence[Origin]) -> Iterator[str]:
    for number, buffer in enumerate(program.buffers):
        yield (
            f"  cb cb{number} {buffer.dtype.value} x {buffer.capacity} at {buffer.address:#x} "
            f"{buffer.kind.value} {quoted(buffer.name)}"
            f"{' finite' if buffer.finite else ''}{' checked' if buffer.checked else ''}"
        )
    for name, code in (("read", program.read), ("compute", program.compute), ("write", program.write)):
        if code.instructions or code.origins or code.tables:
            yield f"  thread {name}"
            yield from _code(code, origins)


def _code(code: Code, origins: Sequence[Origin]) -> Iterator[str]:
    for number, table in enumerate(code.tables):
        yield from _table(number, table)
    depth, last = 2, -1
    for index, instruction in enumerate(code.instructions):
        depth -= isinstance(instruction, End)
        line = "  " * max(depth, 2) + format_instruction(instruction)
        depth += isinstance(instruction, Loop)
        if index >= len(code.origins):
            yield line
            continue
        number = code.origins[index]
        yield f"{line:<{_REMARK_COLUMN}} ; #{number}" + (_remark(number, origins) if number != last else "")
        last = number


def _table(number: int, table: Sequence[int]) -> Iterator[str]:
    yield f"    table table{number}"
    for start in range(0, len(table), VALUES_PER_LINE):
        yield f"    | {' '.join(map(str, table[start : start + VALUES_PER_LINE]))}"


def _remark(number: int, origins: Sequence[Origin]) -> str:
    if not 0 <= number < len(origins):
        return ""
    origin = origins[number]
    place = f" at {origin.span}" if origin.span else ""
    return f" {quoted(origin.stage)}{place}".replace("\n", " ")
