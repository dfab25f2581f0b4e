"""The image file: one deterministic, versioned, checksummed sequence of bytes.

Layout, integers little-endian: magic (8 bytes), format version (u32), digest of the record layouts (8 bytes), length of
the payload (u64), SHA-256 of all that precedes and of the payload (32 bytes), payload. The payload is a zlib stream of
the length of a JSON text (u64), that text, and the bytes of constants one after the other.

The JSON text is `[lengths of constants, machine text, rows]`. Every dataclass value of the image is a row
`[class name, field, ...]`, each distinct value once; a field that holds such a value has the number of an earlier row.
The last row is the image. Programs of many cores are near-identical, so sharing keeps files small and loading fast.
Rows are driven by the fields of the dataclasses: a new instruction needs no code here, and a changed one changes the
digest, so that a file of another layout is refused by its header.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.program.image import Image
from compiler.target import Machine, machine_text, parse_machine

FORMAT_VERSION = 3

_MAGIC = b"meshc\x00im"
_PREFIX = struct.Struct("<8sI8sQ")
_HASH_BYTES = 32
_LENGTH = struct.Struct("<Q")
_COMPRESSION = 6
_INT_RANGE = range(-(1 << 63), 1 << 63)


def dump(image: Image) -> bytes:
    """The bytes of an image file; equal images give equal bytes."""
    writer = _Writer()
    writer.row(image)
    text = json.dumps(
        [[len(blob) for blob in writer.blobs], machine_text(image.machine), writer.rows], separators=(",", ":")
    ).encode()
    payload = zlib.compress(b"".join((_LENGTH.pack(len(text)), text, *writer.blobs)), _COMPRESSION)
    prefix = _PREFIX.pack(_MAGIC, FORMAT_VERSION, _layout_digest(), len(payload))
    return prefix + hashlib.sha256(prefix + payload).digest() + payload


def load(data: bytes) -> Image:
    """The image in `data`; the inverse of `dump`.

    Raises `DiagnosticError` with one diagnostic: E0501 no image at all, E0502 of another format version, E0503
    truncated or with bytes too many, E0504 damaged (checksum), E0505 malformed inside.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        _refuse("E0501", "this is not an image file: it does not begin as one")
    header = _PREFIX.size + _HASH_BYTES
    if len(data) < header:
        _refuse("E0503", f"the image is truncated: {len(data)} bytes, the header alone has {header}")
    _, version, layout, length = _PREFIX.unpack_from(data)
    if (version, layout) != (FORMAT_VERSION, _layout_digest()):
        _refuse(
            "E0502",
            f"the image was written in another format (version {version}, this is version {FORMAT_VERSION} "
            f"with layout {_layout_digest().hex()}); compile the program again",
        )
    payload = data[header:]
    if len(payload) != length:
        what = "is truncated" if len(payload) < length else "has bytes too many"
        _refuse("E0503", f"the image {what}: {len(data)} bytes, its header announces {header + length}")
    if hashlib.sha256(data[: _PREFIX.size] + payload).digest() != data[_PREFIX.size : header]:
        _refuse("E0504", "the image is damaged: its checksum does not match its content")
    try:
        return _decode(payload)
    except _Malformed as error:
        _refuse("E0505", f"the image is malformed: {error}")


def write_file(path: Path, image: Image) -> None:
    """Write the image file, whole or not at all; raises `DiagnosticError` (E0506) where that is impossible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.write_bytes(dump(image))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        _refuse("E0506", f"cannot write the image `{path}`: {error.strerror}")


def read_file(path: Path) -> Image:
    """Read an image file; raises `DiagnosticError`: E0506 when it cannot be read, else what `load` raises."""
    try:
        data = path.read_bytes()
    except OSError as error:
        _refuse("E0506", f"cannot read the image `{path}`: {error.strerror}")
    return load(data)


def _refuse(code: str, message: str) -> NoReturn:
    raise DiagnosticError((Diagnostic(code, message),)) from None


class _Malformed(Exception):
    """What is wrong inside a payload whose checksum is right."""


def _decode(payload: bytes) -> Image:
    try:
        content = zlib.decompress(payload)
        (length,) = _LENGTH.unpack_from(content)
        text, blobs = content[_LENGTH.size : _LENGTH.size + length], content[_LENGTH.size + length :]
        document = json.loads(text)
    except (zlib.error, struct.error, ValueError, RecursionError) as error:
        raise _Malformed(str(error)) from None
    if not isinstance(document, list) or [type(part) for part in document] != [list, str, list]:
        raise _Malformed("its payload is not a list of lengths, a machine and rows")
    lengths, machine, rows = document
    reader = _Reader(machine=parse_machine(machine, "<machine of the image>"), blobs=_cut(blobs, lengths))
    for row in rows:
        reader.values.append(reader.row(row))
    if not reader.values or not isinstance(reader.values[-1], Image):
        raise _Malformed("its last row is not the image")
    return reader.values[-1]


def _cut(content: bytes, lengths: list[object]) -> tuple[bytes, ...]:
    blobs, start = [], 0
    for length in lengths:
        if not isinstance(length, int) or not 0 <= length <= len(content) - start:
            raise _Malformed("a constant is longer than the bytes that are there")
        blobs.append(content[start : start + length])
        start += length
    return tuple(blobs)


@dataclass(slots=True)
class _Writer:
    """Rows in order of first use. `seen` maps the identity of a value to its row: values live as long as the image."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    blobs: dict[bytes, int] = field(default_factory=dict)
    index: dict[tuple[Any, ...], int] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)

    def row(self, value: object) -> int:
        number = self.seen.get(id(value))
        if number is None:
            cls: Any = type(value)
            row = (cls.__name__, *(codec.pack(self, getattr(value, name)) for name, codec in _schema(cls)))
            number = self.index.setdefault(row, len(self.rows))
            if number == len(self.rows):
                self.rows.append(row)
            self.seen[id(value)] = number
        return number


@dataclass(slots=True)
class _Reader:
    machine: Machine
    blobs: tuple[bytes, ...]
    values: list[Any] = field(default_factory=list)

    def row(self, row: object) -> object:
        """The value of a row whose references are to rows read before."""
        if not isinstance(row, list) or not row or not isinstance(row[0], str) or row[0] not in _classes():
            raise _Malformed("a row names no class of the format")
        cls: Any = _classes()[row[0]]
        schema = _schema(cls)
        if len(row) != len(schema) + 1:
            raise _Malformed(f"a row of `{row[0]}` has {len(row) - 1} fields instead of {len(schema)}")
        return cls(*(codec.unpack(self, item) for (_, codec), item in zip(schema, row[1:], strict=True)))


@dataclass(frozen=True, slots=True)
class _Codec:
    """How values of one type are written and read; `layout` describes it in the digest."""

    layout: str
    pack: Callable[[_Writer, Any], Any]
    unpack: Callable[[_Reader, Any], Any]


@cache
def _schema(cls: Any) -> tuple[tuple[str, _Codec], ...]:
    hints = get_type_hints(cls)
    return tuple((item.name, _codec(hints[item.name])) for item in fields(cls))


@cache
def _codec(hint: Any) -> _Codec:
    if get_origin(hint) is tuple:
        return _tuple_codec(get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return _union_codec(get_args(hint))
    if hint is Machine:
        return _Codec("machine", lambda writer, value: 0, lambda reader, item: reader.machine)
    if hint is bytes:
        return _Codec("bytes", _pack_blob, _unpack_blob)
    if is_dataclass(hint):
        return _record_codec((hint,))
    return _enum_codec(hint) if issubclass(hint, Enum) else _plain_codec(hint)


def _plain_codec(cls: type[Any]) -> _Codec:
    def unpack(reader: _Reader, item: Any) -> Any:
        if type(item) is not cls or (cls is int and item not in _INT_RANGE):
            raise _Malformed(f"found {str(item)[:40]!r} where a value of type `{cls.__name__}` is due")
        return item

    return _Codec(cls.__name__, lambda writer, value: value, unpack)


def _enum_codec(cls: type[Enum]) -> _Codec:
    members: Mapping[Any, Enum] = {member.value: member for member in cls}

    def unpack(reader: _Reader, item: Any) -> Enum:
        if not isinstance(item, str) or item not in members:
            raise _Malformed(f"{str(item)[:40]!r} is no `{cls.__name__}`")
        return members[item]

    return _Codec(f"{cls.__name__}({','.join(members)})", lambda writer, value: value.value, unpack)


def _record_codec(classes: tuple[Any, ...]) -> _Codec:
    def unpack(reader: _Reader, item: Any) -> Any:
        if type(item) is not int or not 0 <= item < len(reader.values):
            raise _Malformed("a reference to a row that does not precede it")
        value = reader.values[item]
        if not isinstance(value, classes):
            raise _Malformed(
                f"a row of `{type(value).__name__}` where {' or '.join(c.__name__ for c in classes)} is due"
            )
        return value

    return _Codec("|".join(cls.__name__ for cls in classes), lambda writer, value: writer.row(value), unpack)


def _tuple_codec(args: tuple[Any, ...]) -> _Codec:
    if len(args) == 2 and args[1] is Ellipsis:
        return _sequence_codec(_codec(args[0]))
    codecs = tuple(_codec(arg) for arg in args)

    def unpack(reader: _Reader, item: Any) -> tuple[Any, ...]:
        if not isinstance(item, list) or len(item) != len(codecs):
            raise _Malformed(f"a list of {len(codecs)} parts is due")
        return tuple(codec.unpack(reader, part) for codec, part in zip(codecs, item, strict=True))

    return _Codec(
        f"({','.join(codec.layout for codec in codecs)})",
        lambda writer, value: tuple(codec.pack(writer, part) for codec, part in zip(codecs, value, strict=True)),
        unpack,
    )


def _sequence_codec(codec: _Codec) -> _Codec:
    def unpack(reader: _Reader, item: Any) -> tuple[Any, ...]:
        if not isinstance(item, list):
            raise _Malformed("a list is due")
        return tuple([codec.unpack(reader, part) for part in item])

    return _Codec(
        f"[{codec.layout}]", lambda writer, value: tuple([codec.pack(writer, part) for part in value]), unpack
    )


def _union_codec(args: tuple[Any, ...]) -> _Codec:
    """Records, or a record or nothing, or a record or an int, or a float or an int."""
    if set(args) == {float, int}:
        return _Codec("number", lambda writer, value: _pack_number(value), _unpack_number)
    inner = _record_codec(tuple(arg for arg in args if arg not in (type(None), int)))
    if int in args:
        return _record_or_int_codec(inner)
    if type(None) not in args:
        return inner
    return _Codec(
        f"{inner.layout}?",
        lambda writer, value: None if value is None else inner.pack(writer, value),
        lambda reader, item: None if item is None else inner.unpack(reader, item),
    )


def _record_or_int_codec(record: _Codec) -> _Codec:
    """An int as it is, a record as a list of its row."""
    number = _plain_codec(int)

    def unpack(reader: _Reader, item: Any) -> Any:
        if isinstance(item, list) and len(item) == 1:
            return record.unpack(reader, item[0])
        return number.unpack(reader, item)

    return _Codec(
        f"int or [{record.layout}]",
        lambda writer, value: value if isinstance(value, int) else (record.pack(writer, value),),
        unpack,
    )


def _pack_number(value: float | int) -> str | int:
    """Floats as hexadecimal text: exact, and apart from ints; zero keeps its sign."""
    return value.hex() if isinstance(value, float) else value


def _unpack_number(reader: _Reader, item: Any) -> float | int:
    if type(item) is int and item in _INT_RANGE:
        return item
    try:
        return float.fromhex(item)
    except (TypeError, ValueError, OverflowError):
        raise _Malformed(f"{str(item)[:40]!r} is no number") from None


def _pack_blob(writer: _Writer, value: bytes) -> int:
    return writer.blobs.setdefault(value, len(writer.blobs))


def _unpack_blob(reader: _Reader, item: Any) -> bytes:
    if type(item) is not int or not 0 <= item < len(reader.blobs):
        raise _Malformed("a reference to a constant that is not there")
    return reader.blobs[item]


@cache
def _classes() -> Mapping[str, Any]:
    """Every dataclass that an image is made of, by name, in the order of first use."""
    found: dict[str, Any] = {}
    _collect(Image, found)
    return found


def _collect(hint: Any, found: dict[str, Any]) -> None:
    for arg in get_args(hint):
        _collect(arg, found)
    if is_dataclass(hint) and isinstance(hint, type) and hint is not Machine and hint.__name__ not in found:
        found[hint.__name__] = hint
        for inner in get_type_hints(hint).values():
            _collect(inner, found)


@cache
def _layout_digest() -> bytes:
    lines = (
        f"{name}: " + ", ".join(f"{key} {codec.layout}" for key, codec in _schema(cls))
        for name, cls in _classes().items()
    )
    return hashlib.sha256("\n".join(lines).encode()).digest()[:8]
