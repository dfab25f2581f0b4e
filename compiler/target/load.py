"""Machines from text: TOML in which every constant may carry its source.

A constant is written as it is, `hop = 9`, or with where it comes from:
`hop = { value = 9, source = "tt-isa-documentation, WormholeB0/NoC", confirmed = true }`. Tables follow the fields of
`Machine`; the floor plan is a picture, one letter of `SiteKind` per position, blanks ignored; a DRAM channel is a pair
`[x, y]`.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source, Span
from compiler.target.check import check_machine
from compiler.target.machine import Coord, Fact, Machine, SiteKind

_E = TypeVar("_E", bound=Enum)

_PRESETS = "presets"
_FLOOR_PLAN = tuple[tuple[SiteKind, ...], ...]
_COORDS = tuple[Coord, ...]
_KINDS: Mapping[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "a string",
    _FLOOR_PLAN: "a picture of letters",
    _COORDS: "a list of [x, y]",
}


def preset_names() -> tuple[str, ...]:
    """The machines that come with the compiler, sorted."""
    folder = resources.files("compiler.target") / _PRESETS
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def load_machine(name_or_path: str) -> Machine:
    """Return the preset of that name, or the machine in that `.toml` file.

    Raises `DiagnosticError`: E0401 when there is no such machine, else what `parse_machine` raises.
    """
    if name_or_path in preset_names():
        text = (resources.files("compiler.target") / _PRESETS / f"{name_or_path}.toml").read_text(encoding="utf-8")
        return parse_machine(text, f"<{name_or_path}.toml>")
    if not name_or_path.endswith(".toml"):
        raise DiagnosticError((_unknown(name_or_path),))
    try:
        text = Path(name_or_path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        message = f"cannot read the machine file `{name_or_path}`: {reason}"
        raise DiagnosticError((Diagnostic("E0401", message),)) from None
    return parse_machine(text, name_or_path)


def _unknown(name: str) -> Diagnostic:
    close = difflib.get_close_matches(name, preset_names(), n=1, cutoff=0.5)
    known = ", ".join(f"`{preset}`" for preset in preset_names())
    helps = (f"did you mean `{close[0]}`?",) if close else ()
    return Diagnostic(
        "E0401",
        f"there is no machine `{name}`",
        notes=(f"known machines: {known}",),
        helps=(*helps, "a machine of your own is named by its file, which ends in `.toml`"),
    )


def parse_machine(text: str, name: str) -> Machine:
    """Read a machine from its text form; `name` is what messages call the text.

    Raises `DiagnosticError`: E0402 when the text is no TOML (with the position), E0403 for each constant that is
    missing, unknown or of the wrong kind, E0404 for each rule of `check_machine` that it violates.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DiagnosticError((_malformed(text, name, error),), {name: Source(name, text)}) from None
    reader = _Reader(name)
    machine: Machine = reader.record(Machine, "", table)
    if reader.errors:
        raise DiagnosticError(tuple(reader.errors), {name: Source(name, text)})
    check_machine(machine)
    return machine


def _malformed(text: str, name: str, error: Exception) -> Diagnostic:
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    reason = found[1] if found else str(error)
    lines = text.split("\n")
    line, column = (int(found[2]), int(found[3])) if found and found[2] else (len(lines), len(lines[-1]) + 1)
    span = Span(name, line, column, line, column + 1)
    return Diagnostic("E0402", f"`{name}` is not valid TOML: {reason}", (Label(span),))


@dataclass(slots=True)
class _Reader:
    """Turns tables into records, and collects what is wrong with them instead of stopping at the first."""

    name: str
    errors: list[Diagnostic] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)

    def record(self, cls: type[Any], path: str, table: object) -> Any:
        """An instance of dataclass `cls`; fields that are missing or wrong are None, and reported."""
        if not isinstance(table, dict):
            return self.wrong(path, "a table", table)
        hints = {item.name: get_type_hints(cls)[item.name] for item in fields(cls) if item.name != "facts"}
        for key in sorted(table.keys() - hints.keys()):
            self.unknown(path, key, list(hints))
        values = {key: self.member(hint, _join(path, key), table, key) for key, hint in hints.items()}
        return cls(**values, facts=self.facts) if cls is Machine else cls(**values)

    def member(self, hint: Any, path: str, table: dict[str, Any], key: str) -> Any:
        if key not in table:
            return self.report(f"`{path}` is missing")
        value = table[key]
        if get_origin(hint) is Mapping:
            return self.costs(get_args(hint)[0], path, value)
        if is_dataclass(hint) and isinstance(hint, type):
            return self.record(hint, path, value)
        if get_origin(hint) is tuple and hint not in (_FLOOR_PLAN, _COORDS):
            return self.records(get_args(hint), path, value)
        return self.constant(hint, path, value)

    def records(self, classes: tuple[type, ...], path: str, value: object) -> Any:
        if not isinstance(value, list) or len(value) != len(classes):
            return self.wrong(path, f"{len(classes)} tables `[[{path}]]`", value)
        return tuple(
            self.record(cls, f"{path}.{i}", item) for i, (cls, item) in enumerate(zip(classes, value, strict=True))
        )

    def costs(self, enum: type[_E], path: str, value: object) -> Any:
        """A table from the values of `enum` to integers."""
        if not isinstance(value, dict):
            return self.wrong(path, "a table", value)
        names = {member.value: member for member in enum}
        for key in sorted(value.keys() - names.keys()):
            self.unknown(path, key, list(names))
        return {names[k]: self.constant(int, _join(path, k), item) for k, item in value.items() if k in names}

    def constant(self, hint: Any, path: str, value: object) -> Any:
        if isinstance(value, dict):
            value = self.sourced(path, value)
        converted = _convert(hint, value)
        if converted is not None:
            return converted
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self.wrong(path, "one of " + ", ".join(f"`{member.value}`" for member in hint), value)
        return self.wrong(path, _KINDS[hint], value)

    def sourced(self, path: str, table: dict[str, Any]) -> Any:
        """The value of a constant that carries its source, which is noted among the facts."""
        source, confirmed = table.get("source"), table.get("confirmed")
        if table.keys() != {"value", "source", "confirmed"}:
            return self.report(f"`{path}` is a table, so it needs exactly the keys `value`, `source` and `confirmed`")
        if not isinstance(source, str) or not isinstance(confirmed, bool):
            return self.report(f"`{path}`: `source` must be a string and `confirmed` true or false")
        self.facts[path] = Fact(source, confirmed)
        return table["value"]

    def unknown(self, path: str, key: str, known: list[str]) -> None:
        close = difflib.get_close_matches(key, known, n=1)
        self.report(
            f"`{_join(path, key)}` is not a constant of a machine", *(f"did you mean `{name}`?" for name in close)
        )

    def wrong(self, path: str, expected: str, found: object) -> None:
        self.report(f"`{path}` must be {expected}, found {_shown(found)}")

    def report(self, message: str, *helps: str) -> None:
        self.errors.append(Diagnostic("E0403", f"`{self.name}`: {message}", helps=helps))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _convert(hint: Any, value: object) -> Any:
    """`value` as the type `hint`, or None when it is not of that kind."""
    if hint is float and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    if hint in (int, str):
        return value if type(value) is hint else None
    if hint == _FLOOR_PLAN:
        return _picture(value)
    if hint == _COORDS:
        return _coords(value)
    return next((member for member in hint if member.value == value), None) if isinstance(hint, type(Enum)) else None


def _picture(value: object) -> tuple[tuple[SiteKind, ...], ...] | None:
    if not isinstance(value, str):
        return None
    letters = {kind.value: kind for kind in SiteKind}
    lines = ["".join(line.split()) for line in value.split("\n") if line.strip()]
    if not {*"".join(lines)} <= letters.keys():
        return None
    return tuple(tuple(letters[letter] for letter in line) for line in lines)


def _coords(value: object) -> tuple[Coord, ...] | None:
    if not isinstance(value, list):
        return None
    pairs = [item for item in value if isinstance(item, list) and [type(part) for part in item] == [int, int]]
    return tuple(Coord(x, y) for x, y in pairs) if len(pairs) == len(value) else None


def machine_text(machine: Machine) -> str:
    """The canonical text form: `parse_machine` gives an equal machine back, and equal machines give equal text."""
    return "\n".join(_table_lines(machine, "", machine)) + "\n"


def _table_lines(machine: Machine, path: str, value: object) -> list[str]:
    """The lines of a table: constants first, as TOML demands, then the tables inside it."""
    constants: list[str] = []
    tables: list[str] = []
    for key, item in _items(value):
        name = _join(path, key)
        if is_dataclass(item) or isinstance(item, Mapping):
            tables += ["", f"[{name}]", *_table_lines(machine, name, item)]
        elif key == "nocs":
            for number, noc in enumerate(machine.nocs):
                tables += ["", f"[[{name}]]", *_table_lines(machine, f"{name}.{number}", noc)]
        else:
            constants.append(f"{key} = {_constant_text(item, machine.facts.get(name))}")
    return constants + tables


def _items(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [(key.value, value[key]) for key in type(next(iter(value))) if key in value] if value else []
    assert is_dataclass(value)
    return [(item.name, getattr(value, item.name)) for item in fields(value) if item.name != "facts"]


def _constant_text(value: object, fact: Fact | None) -> str:
    text = _value_text(value)
    if fact is None:
        return text
    confirmed = "true" if fact.confirmed else "false"
    return f"{{ value = {text}, source = {_quoted(fact.source)}, confirmed = {confirmed} }}"


def _value_text(value: object) -> str:
    if isinstance(value, Enum):
        return _quoted(str(value.value))
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return '"""\n' + "".join("".join(site.value for site in row) + "\n" for row in value) + '"""'
    if isinstance(value, tuple):
        return "[" + ", ".join(f"[{coord.x}, {coord.y}]" for coord in value) + "]"
    return repr(value)


def _quoted(text: str) -> str:
    """A TOML basic string."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
