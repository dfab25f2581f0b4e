"""One line per instruction: the table from which both the printer and the parser of assembly are made.

In a template, `{field}` stands for a field in the form of its type, and `{field:word}` for a flag: the word when it is
set, nothing when it is not; for a number, the word before it, and nothing when it is -1. An offset is printed as
`i0*4 + i1 + v2 + 7`, where `i0` counts the outermost loop and `v2` is a variable. A mask, `mask(40, i0; 64, i1)`, names
the extent and the tile of rows, then of columns.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from string import Formatter
from typing import Any, get_type_hints

from compiler.numerics import DType
from compiler.numerics.fidelity import Part
from compiler.program.instructions import (
    Affine,
    Amount,
    Await,
    Barrier,
    CbTile,
    Combine,
    DstTile,
    End,
    Fetch,
    Fill,
    Gather,
    Instruction,
    Loop,
    Map,
    Mask,
    Matmul,
    Multicast,
    Pack,
    Pop,
    Probe,
    Push,
    Read,
    Reduce,
    ReduceAxis,
    Reserve,
    SemInc,
    SemWait,
    Sense,
    Take,
    Variable,
    Wait,
    Write,
)

TEMPLATES: Mapping[type[Instruction], str] = {
    Fetch: "fetch v{variable}, table{table}",
    Probe: "probe v{variable}, cb{cb}[{offset}]",
    Reserve: "reserve cb{cb} {pages}",
    Push: "push cb{cb} {pages}",
    Wait: "wait cb{cb} {pages}",
    Pop: "pop cb{cb} {pages}",
    Read: "read cb{cb}[{offset}], t{tensor}[{page}], noc{noc}{guard: guard v}",
    Sense: "sense cb{cb}[{offset}], t{tensor}[{page}], noc{noc}",
    Gather: "gather cb{cb}[{offset}], t{tensor} by map{index_map}[{page}], noc{noc}",
    Take: (
        "take cb{cb}[{offset}], t{tensor}[{page}; {step}] of {extent}, cb{indices}[{where}]{across:^T}, "
        "rows({rows}, {row_tile}), noc{noc}"
    ),
    Write: "write t{tensor}[{page}], cb{cb}[{offset}], noc{noc}",
    Multicast: "multicast set{targets}, cb{cb}[{offset}] x {pages}, noc{noc}",
    Barrier: "barrier",
    SemInc: "sem.inc set{targets}, s[{semaphore}] += {amount}, noc{noc}",
    SemWait: "sem.wait s[{semaphore}] >= {amount}",
    Await: "await t{tensor}[{page}]",
    Fill: "fill d{dst} {dtype} {value}",
    Matmul: (
        "matmul d{dst} {dtype} {rows}x{columns}x{inner}, "
        "cb{a}[{a_offset}; {a_row}, {a_inner}]{transpose_a:^T}{part_a}{skip_a: skip}, "
        "cb{b}[{b_offset}; {b_inner}, {b_column}]{transpose_b:^T}{part_b}{skip_b: skip}{clear: clear}"
        "{annihilates: annihilates}{guard: guard v}"
    ),
    Map: "map d{dst}, kernel{kernel}({operands}){zeros}{dead: dead}{guard: guard v}",
    Reduce: "reduce d{dst}, d{source}, {combine} {dtype} {axis}{mask}",
    Pack: "pack cb{cb}[{offset}], d{dst}{accumulate: accumulate}{mask}",
    Loop: "loop {count}",
    End: "end",
}

_INT = r"-?\d{1,19}"
_TERM = rf"(?:i\d{{1,3}}(?:\*{_INT})?|v\d{{1,9}}|{_INT})"
_AFFINE = rf"{_TERM}(?: \+ {_TERM})*"
_MASK = rf" mask\({_INT}, {_AFFINE}; {_INT}, {_AFFINE}\)"


def format_instruction(instruction: Instruction) -> str:
    """The line of an instruction, without indentation and origin."""
    cls: Any = type(instruction)
    return "".join(
        literal + (form.show(getattr(instruction, name)) if form else "") for literal, name, form in _parts(cls)
    )


def parse_instruction(line: str) -> Instruction | None:
    """The instruction in a line that `format_instruction` could have made, else None."""
    mnemonic = line.split(" ", 1)[0]
    cls = _mnemonics().get(mnemonic)
    found = _pattern(cls).fullmatch(line) if cls else None
    if cls is None or found is None:
        return None
    forms = [(name, form) for _, name, form in _parts(cls) if form]
    texts = [text or "" for text in found.groups()]
    values = [form.read(text) for (_, form), text in zip(forms, texts, strict=True)]
    if any(value is None and text for value, text in zip(values, texts, strict=True)):
        return None
    instruction: Instruction = cls(**{name: value for (name, _), value in zip(forms, values, strict=True)})
    return instruction


def format_affine(value: Affine) -> str:
    terms = [f"i{axis}" + (f"*{c}" if c != 1 else "") for axis, c in enumerate(value.coefficients) if c]
    if value.variable != -1:
        terms.append(f"v{value.variable}")
    if value.constant or not terms:
        terms.append(str(value.constant))
    return " + ".join(terms)


def parse_affine(text: str) -> Affine | None:
    """The offset in canonical form: no zero coefficient at the end. None for more than one variable."""
    constant, by_axis, variables = 0, dict[int, int](), list[int]()
    for term in text.split(" + "):
        found = re.fullmatch(rf"i(\d{{1,3}})(?:\*({_INT}))?|({_INT})|v(\d{{1,9}})", term)
        if not found:
            return None
        if found[3] is not None:
            constant += int(found[3])
        elif found[4] is not None:
            variables.append(int(found[4]))
        else:
            by_axis[int(found[1])] = int(found[2] or 1)
    if len(variables) > 1:
        return None
    depth = 1 + max((axis for axis, c in by_axis.items() if c), default=-1)
    return Affine(constant, tuple(by_axis.get(axis, 0) for axis in range(depth)), *variables)


def format_number(value: float | int) -> str:
    """Floats keep a point, an exponent or a name (`inf`, `nan`), so that they read back as floats."""
    return repr(value)


def parse_number(text: str) -> float | int | None:
    """None for what is no number, and for an integer of more digits than any field holds."""
    try:
        return int(text) if re.fullmatch(_INT, text) else float(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Form:
    """How a field's value looks: printed by `show`, recognized by `pattern`, read by `read` (None: no such value)."""

    pattern: str
    show: Callable[[Any], str]
    read: Callable[[str], Any]


def _flag(word: str) -> _Form:
    return _Form(f"({re.escape(word)})?", lambda value: word if value else "", lambda text: text == word)


def _after(word: str) -> _Form:
    """A number behind a word; -1 is left out."""
    return _Form(
        rf"(?:{re.escape(word)}({_INT}))?",
        lambda value: "" if value == -1 else f"{word}{value}",
        lambda text: int(text) if text else -1,
    )


def _enum(cls: type[Enum]) -> _Form:
    members = {member.value: member for member in cls}
    return _Form(r"(\w+)", lambda value: str(value.value), members.get)


def _show_amount(amount: Amount) -> str:
    return f"v{amount.index}" if isinstance(amount, Variable) else str(amount)


def _read_amount(text: str) -> Amount:
    return Variable(int(text[1:])) if text.startswith("v") else int(text)


def _show_zeros(zeros: tuple[int, ...]) -> str:
    return f" zeros {list(zeros)}" if zeros else ""


def _read_zeros(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(_INT, text))


def _show_part(part: Part) -> str:
    return "" if part is Part.WHOLE else f" {part.value}"


def _show_operand(operand: CbTile | DstTile) -> str:
    return f"d{operand.index}" if isinstance(operand, DstTile) else f"cb{operand.cb}[{format_affine(operand.offset)}]"


def _read_operands(text: str) -> tuple[CbTile | DstTile, ...] | None:
    operands = [_read_operand(part) for part in text.split(", ")] if text else []
    known = tuple(operand for operand in operands if operand)
    return known if len(known) == len(operands) else None


def _read_operand(text: str) -> CbTile | DstTile | None:
    found = re.fullmatch(rf"d({_INT})|cb({_INT})\[({_AFFINE})\]", text)
    if not found:
        return None
    if found[1] is not None:
        return DstTile(int(found[1]))
    offset = parse_affine(found[3])
    return CbTile(int(found[2]), offset) if offset else None


def _show_mask(mask: Mask | None) -> str:
    if mask is None:
        return ""
    rows, columns = format_affine(mask.row_tile), format_affine(mask.column_tile)
    return f" mask({mask.rows}, {rows}; {mask.columns}, {columns})"


def _read_mask(text: str) -> Mask | None:
    found = re.fullmatch(rf" mask\(({_INT}), (.*); ({_INT}), (.*)\)", text)
    if not found:
        return None
    row_tile, column_tile = parse_affine(found[2]), parse_affine(found[4])
    return Mask(int(found[1]), row_tile, int(found[3]), column_tile) if row_tile and column_tile else None


_FORMS: Mapping[Any, _Form] = {
    int: _Form(f"({_INT})", str, int),
    float | int: _Form(r"([-+.\w]+)", format_number, parse_number),
    Amount: _Form(f"(v?{_INT})", _show_amount, _read_amount),
    Affine: _Form(f"({_AFFINE})", format_affine, parse_affine),
    DType: _enum(DType),
    Part: _Form("( high| low)?", _show_part, lambda text: Part(text.strip() or Part.WHOLE.value)),
    Combine: _enum(Combine),
    ReduceAxis: _enum(ReduceAxis),
    Mask: _Form(f"({_MASK})", _show_mask, _read_mask),
    Mask | None: _Form(f"({_MASK})?", _show_mask, _read_mask),
    tuple[CbTile | DstTile, ...]: _Form(
        r"([^()]*)", lambda value: ", ".join(_show_operand(operand) for operand in value), _read_operands
    ),
    tuple[int, ...]: _Form(rf"((?: zeros \[{_INT}(?:, {_INT})*\])?)", _show_zeros, _read_zeros),
}


@cache
def _parts(cls: Any) -> tuple[tuple[str, str, _Form | None], ...]:
    """The template taken apart: literal text, then a field and its form (no field at the end of the line)."""
    hints = get_type_hints(cls)
    parts = []
    for literal, name, word, _ in Formatter().parse(TEMPLATES[cls]):
        parts.append((literal, name or "", None if name is None else _form(hints[name], word or "")))
    assert {name for _, name, _ in parts if name} == {item.name for item in fields(cls)}
    return tuple(parts)


def _form(hint: Any, word: str) -> _Form:
    if not word:
        return _FORMS[hint]
    return _flag(word) if hint is bool else _after(word)


@cache
def _pattern(cls: Any) -> re.Pattern[str]:
    return re.compile("".join(re.escape(literal) + (form.pattern if form else "") for literal, _, form in _parts(cls)))


@cache
def _mnemonics() -> Mapping[str, Any]:
    return {template.split(" ", 1)[0]: cls for cls, template in TEMPLATES.items()}
