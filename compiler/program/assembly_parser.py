"""Reads the text that `assembly.print_image` prints."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source, Span
from compiler.numerics import DType, Expr, ScalarNode, ScalarOp
from compiler.numerics.masks import TileMask
from compiler.program.image import (
    CbKind,
    CircularBuffer,
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
    Role,
    Route,
    ShardPlace,
    Spread,
    Tensor,
    UnicastRoute,
)
from compiler.program.instructions import Instruction
from compiler.program.syntax import parse_instruction, parse_number
from compiler.target import Coord, parse_machine

_INT = r"(-?\d{1,19})"
_HEX = r"(-?0x[0-9a-f]{1,16})"
_TEXT = r'("(?:[^"\\]|\\.)*")'
_LIST = r"(\[[-\d, ]*\])"
_LISTS = r"(\[(?:\[[-\d, ]*\](?:, )?)*\])"
_TYPE = "(" + "|".join(dtype.value for dtype in DType) + ")"
_PAIR = r"(-?\d{1,19}),(-?\d{1,19})"

_LINES: Mapping[str, str] = {
    "image": rf"image {_TEXT}",
    "bound": rf"bound {_TEXT} {_INT}",
    "machine": r"machine",
    "source": rf"source {_TEXT}",
    "origin": rf"origin #{_INT} {_TEXT}(?: at {_TEXT} {_INT}:{_INT}-{_INT}:{_INT})?",
    "tensor": (
        rf"tensor t{_INT} {_TEXT} {_TYPE}{_LIST} ({'|'.join(role.value for role in Role)}) "
        rf"(?:dram {_HEX}|shard epoch {_INT} ways {_LIST} owners {_LIST} cb {_INT} ready {_INT}(?: pages {_LISTS})?)"
        rf"(?: live {_LIST}:([0-9a-f]*))?( finite)?( flagged)?"
    ),
    "map": (rf"map map{_INT} shape {_LIST} digits {_LIST} base {_LIST} steps {_LISTS} extents {_LIST}"),
    "kernel": rf"kernel kernel{_INT}\(([\w ,]*)\)",
    "node": rf"%{_INT} = (\w+)\.{_TYPE} (?:(%\d{{1,9}}(?:, %\d{{1,9}})*)|([-+.\w]+))",
    "epoch": rf"epoch {_INT}",
    "set": rf"set set{_INT} (multicast|list) {_LIST}",
    "route": rf"route noc{_INT} {_PAIR} -> (?:set{_INT}|{_PAIR}):((?: \S+)*)",
    "cores": r"cores (\d{1,9}(?:, \d{1,9})*)",
    "cb": (
        rf"cb cb{_INT} {_TYPE} x {_INT} at {_HEX} ({'|'.join(kind.value for kind in CbKind)}) {_TEXT}"
        r"( finite)?( checked)?"
    ),
    "thread": r"thread (read|compute|write)",
    "table": rf"table table{_INT}",
}
_PATTERNS = {word: re.compile(pattern) for word, pattern in _LINES.items()}
_HOP = re.compile(rf"(?:{_PAIR})?>{_PAIR}(?:/{_INT})?")


def parse_image(text: str, name: str = "<assembly>") -> Image:
    """The image that `text` describes; the inverse of `print_image`.

    Only the form is checked here; whether the image can run is for `check_image`. Raises `DiagnosticError`: E0510 with
    the line that cannot be read, or what `parse_machine` raises.
    """
    return _Parser(name, text, text.removesuffix("\n").split("\n")).image()


@dataclass(slots=True)
class _Parser:
    name: str
    text: str
    lines: list[str]
    at: int = 0
    instructions: dict[str, Instruction | None] = field(default_factory=dict)
    """Lines of code read before: programs of many cores are much alike."""

    def image(self) -> Image:
        titles = self.many("image", lambda found: _string(found[0]))
        if len(titles) != 1:
            self.fail("one line `image` is due at the beginning")
        bound = self.many("bound", lambda found: (_string(found[0]), int(found[1])))
        if self.accept("machine") is None:
            self.fail("a line `machine` is due here")
        machine = parse_machine(self.block(), f"<machine of {self.name}>")
        sources = self.many("source", lambda found: Source(_string(found[0]), self.block()))
        origins = self.numbered("origin", _origin)
        tensors = self.numbered("tensor", lambda found: replace(_tensor(found), data=self.data()))
        index_maps = self.numbered("map", _index_map)
        kernels = self.numbered("kernel", self.kernel)
        epochs = self.numbered("epoch", self.epoch)
        if self.at < len(self.lines):
            self.fail(f"`{self.lines[self.at].strip()[:60]}` does not belong here")
        return Image(
            name=titles[0],
            machine=machine,
            tensors=tensors,
            index_maps=index_maps,
            kernels=kernels,
            epochs=epochs,
            origins=origins,
            sources=sources,
            bound=bound,
        )

    def fail(self, message: str) -> NoReturn:
        number = min(self.at, len(self.lines) - 1)
        span = Span(self.name, number + 1, 1, number + 1, max(2, len(self.lines[number]) + 1))
        diagnostic = Diagnostic("E0510", f"cannot read the assembly: {message}", (Label(span),))
        raise DiagnosticError((diagnostic,), {self.name: Source(self.name, self.text)})

    def accept(self, word: str) -> tuple[Any, ...] | None:
        """The parts of the next line if it is of that kind, which is then behind us; else None."""
        line = self.lines[self.at].strip(" ") if self.at < len(self.lines) else ""
        if word != "node" and line.split(" ", 1)[0] != word:
            return None
        if word == "node" and not line.startswith("%"):
            return None
        found = _PATTERNS[word].fullmatch(line)
        if not found:
            self.fail(f"this is not how a line `{word}` looks")
        self.at += 1
        return found.groups()

    def many(self, word: str, make: Callable[[tuple[Any, ...]], Any]) -> tuple[Any, ...]:
        made = []
        while (found := self.accept(word)) is not None:
            try:
                made.append(make(found))
            except _Wrong as error:
                self.at -= 1
                self.fail(str(error))
        return tuple(made)

    def numbered(self, word: str, make: Callable[[tuple[Any, ...]], Any]) -> tuple[Any, ...]:
        """As `many`, for lines whose first part is their number, counted from 0."""
        count = 0

        def make_next(found: tuple[Any, ...]) -> Any:
            nonlocal count
            if int(found[0]) != count:
                raise _Wrong(f"this {word} has number {found[0]}, but {count} is next")
            count += 1
            return make(found[1:])

        return self.many(word, make_next)

    def block(self) -> str:
        """The text of the lines that begin with `|`."""
        start = self.at
        while self.at < len(self.lines) and self.lines[self.at].startswith("| "):
            self.at += 1
        return "\n".join(line[2:] for line in self.lines[start : self.at])

    def data(self) -> bytes:
        try:
            return bytes.fromhex(self.block())
        except ValueError:
            self.at -= 1
            self.fail("the bytes of a constant are pairs of hexadecimal digits")

    def kernel(self, found: tuple[Any, ...]) -> Kernel:
        operands = tuple(_operand(part) for part in found[0].split(", ")) if found[0] else ()
        return Kernel(Expr(self.numbered("node", _node)), operands)

    def epoch(self, found: tuple[Any, ...]) -> Epoch:
        core_sets = self.numbered("set", lambda part: CoreSet(_ints(part[1]), part[0] == "multicast"))
        groups = self.many("cores", self.programs)
        routes = self.many("route", _route)
        programs = sorted((program for group in groups for program in group), key=lambda program: program.core)
        return Epoch(tuple(programs), core_sets, routes)

    def programs(self, found: tuple[Any, ...]) -> tuple[CoreProgram, ...]:
        buffers = self.numbered("cb", _buffer)
        threads = self.many("thread", lambda part: (part[0], self.code()))
        codes = dict(threads)
        if len(codes) < len(threads):
            self.fail("a thread is listed twice above")
        return tuple(
            CoreProgram(
                core=int(core),
                buffers=buffers,
                read=codes.get("read", Code()),
                compute=codes.get("compute", Code()),
                write=codes.get("write", Code()),
            )
            for core in found[0].split(", ")
        )

    def table(self, _: tuple[Any, ...]) -> tuple[int, ...]:
        """The values on the lines that begin with `|`."""
        words: list[str] = []
        while self.at < len(self.lines) and self.lines[self.at].startswith("    | "):
            words += self.lines[self.at].split()[1:]
            self.at += 1
        if not all(re.fullmatch(_INT, word) for word in words):
            raise _Wrong("a value of a table is no integer")
        return tuple(int(word) for word in words)

    def code(self) -> Code:
        tables = self.numbered("table", self.table)
        instructions, origins = [], []
        while self.at < len(self.lines) and self.lines[self.at].startswith("    "):
            line, _, remark = self.lines[self.at].partition(" ; #")
            instructions.append(self.instruction(line.strip(" ")))
            if remark:
                origins.append(self.origin(remark))
            self.at += 1
        return Code(tuple(instructions), tuple(origins), tables)

    def instruction(self, line: str) -> Instruction:
        if line not in self.instructions:
            self.instructions[line] = parse_instruction(line)
        instruction = self.instructions[line]
        if instruction is None:
            self.fail(f"`{line[:60]}` is no instruction")
        return instruction

    def origin(self, remark: str) -> int:
        number = remark.split(" ", 1)[0]
        if not re.fullmatch(_INT, number):
            self.fail("the number of an origin is due after `; #`")
        return int(number)


class _Wrong(Exception):
    """What is wrong with the parts of a line whose form is right."""


def _string(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        raise _Wrong(f"{text[:40]} is no string") from None
    assert isinstance(value, str)
    return value


def _ints(text: str) -> tuple[int, ...]:
    try:
        return tuple(json.loads(text))
    except ValueError:
        raise _Wrong(f"{text[:40]} is no list of integers") from None


def _origin(found: tuple[Any, ...]) -> Origin:
    stage, source, *position = found
    if source is None:
        return Origin(_string(stage), None)
    line, column, end_line, end_column = (int(part) for part in position)
    return Origin(_string(stage), Span(_string(source), line, column, end_line, end_column))


def _tensor(found: tuple[Any, ...]) -> Tensor:
    name, dtype, shape, role, base, epoch, ways, owners, cb, ready, pages, dims, bits, finite, flagged = found
    place: DramPlace | ShardPlace
    if base is not None:
        place = DramPlace(int(base, 16))
    else:
        place = ShardPlace(int(epoch), _ints(ways), _ints(owners), int(cb), int(ready), _rows(pages or "[]"))
    return Tensor(
        _string(name),
        DType(dtype),
        _ints(shape),
        Role(role),
        place,
        live=None if dims is None else TileMask(_ints(dims), _bits(bits)),
        finite=bool(finite),
        flagged=bool(flagged),
    )


def _bits(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise _Wrong("the pages that live are pairs of hexadecimal digits") from None


def _rows(text: str) -> tuple[tuple[int, ...], ...]:
    try:
        return tuple(tuple(row) for row in json.loads(text))
    except (ValueError, TypeError):
        raise _Wrong(f"{text[:40]} is no list of lists of integers") from None


def _index_map(found: tuple[Any, ...]) -> IndexMap:
    shape, digits, base, steps, extents = found
    return IndexMap(_ints(shape), _ints(digits), _ints(base), _rows(steps), _ints(extents))


def _operand(text: str) -> Operand:
    name, _, spread = text.partition(" ")
    try:
        return Operand(DType(name), Spread(spread) if spread else Spread.NONE)
    except ValueError:
        raise _Wrong(f"`{text[:40]}` is no operand of a kernel") from None


def _node(found: tuple[Any, ...]) -> ScalarNode:
    op, dtype, args, value = found
    try:
        operation = ScalarOp(op)
    except ValueError:
        raise _Wrong(f"`{op[:40]}` is no scalar operation") from None
    if args is not None:
        return ScalarNode(operation, DType(dtype), tuple(int(arg[1:]) for arg in args.split(", ")))
    number = parse_number(value)
    if number is None:
        raise _Wrong(f"`{value[:40]}` is no number")
    return ScalarNode(operation, DType(dtype), (), number)


def _route(found: tuple[Any, ...]) -> Route:
    noc, x, y, targets, far_x, far_y, hops = found
    src = Coord(int(x), int(y))
    if targets is not None:
        return MulticastRoute(int(noc), src, int(targets), _hops(src, hops))
    return UnicastRoute(int(noc), src, Coord(int(far_x), int(far_y)), _hops(src, hops))


def _hops(src: Coord, text: str) -> tuple[Hop, ...]:
    at, vc, hops = src, 0, []
    for word in text.split():
        found = _HOP.fullmatch(word)
        if not found:
            raise _Wrong(f"`{word[:40]}` is no hop")
        start = at if found[1] is None else Coord(int(found[1]), int(found[2]))
        at, vc = Coord(int(found[3]), int(found[4])), vc if found[5] is None else int(found[5])
        hops.append(Hop(start, at, vc))
    return tuple(hops)


def _buffer(found: tuple[Any, ...]) -> CircularBuffer:
    dtype, capacity, address, kind, name, finite, checked = found
    return CircularBuffer(
        int(address, 16),
        int(capacity),
        DType(dtype),
        CbKind(kind),
        _string(name),
        finite=bool(finite),
        checked=bool(checked),
    )
