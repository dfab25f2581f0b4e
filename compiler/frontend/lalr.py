"""Drive lark's parse tables: the trees of `lark.Lark.parse`, several times faster, and only for texts without errors.

lark turns the grammar into tables once; walking them needs little. What makes the difference for long texts are trees
that remember two tokens instead of computing positions at every reduction.

A terminal that looks like a name is a word only where the grammar expects it, as with lark's contextual lexer.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import TypeAlias
from zlib import crc32


class Token(str):
    """A terminal: its text, and where it begins (from 1)."""

    __slots__ = ("column", "line", "type")

    type: str
    line: int
    column: int

    @property
    def end_column(self) -> int:
        return self.column + len(self)


@dataclass(slots=True, eq=False)
class Tree:
    """A rule and its parts without punctuation; None stands for an optional part that is missing.

    `first` and `last` are the tokens at its ends, `begin` and `end` those with the parentheses around it.
    """

    data: str
    children: "list[Part]"
    first: Token
    last: Token
    begin: Token
    end: Token


Part: TypeAlias = Tree | Token | None
Filter: TypeAlias = Callable[[Iterator[Token]], Iterator[Token]]


class Refused(Exception):
    """The text does not fit the grammar; lark knows why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a reduction does with the `size` values it takes.

    `kept` lists, for each value that stays, its position, whether its parts take its place, and the number of missing
    parts before it; `missing` counts those after the last. `expand` drops the rule where a single part stays.
    """

    origin: str
    name: str
    size: int
    kept: tuple[tuple[int, bool, int], ...]
    missing: int
    expand: bool

    passes: bool = False
    """True when the only value stays as it is."""


@dataclass(frozen=True, slots=True)
class State:
    """Where each symbol leads, and which rule each terminal ends."""

    next: dict[str, int]
    ended: dict[str, Rule]


@dataclass(frozen=True, slots=True)
class Tables:
    """The states of the grammar; `pattern` has one group per terminal, `name` is that of names."""

    states: tuple[State, ...]
    start: int
    end: int
    pattern: re.Pattern[str]
    ignored: frozenset[str]
    name: re.Pattern[str]

    def parse(self, text: str, keep: Filter) -> Tree:
        """Return the tree of `text`, whose tokens pass through `keep`; raises `Refused`."""
        states = self.states
        stack, values = [self.start], list[Tree | Token]()
        for token in keep(self.tokens(text)):
            state = states[stack[-1]]
            kind = token.type
            if kind not in state.next and kind not in state.ended and self.name.fullmatch(token):
                kind = token.type = "NAME"
            while (target := state.next.get(kind)) is None:
                if (rule := state.ended.get(kind)) is None:
                    raise Refused
                state = _reduce(rule, stack, values, states)
            stack.append(target)
            values.append(token)
        while stack[-1] != self.end:
            if (rule := states[stack[-1]].ended.get("$END")) is None:
                raise Refused
            _reduce(rule, stack, values, states)
        tree = values[-1]
        assert isinstance(tree, Tree)
        return tree

    def tokens(self, text: str) -> Iterator[Token]:
        """Cut `text` into tokens; raises `Refused` at a character that begins none."""
        line, line_start, position = 1, 0, 0
        match, ignored = self.pattern.match, self.ignored
        while position < len(text):
            found = match(text, position)
            if found is None:
                raise Refused
            kind, end = found.lastgroup, found.end()
            assert kind is not None
            if kind not in ignored:
                token = Token(found.group())
                token.type, token.line, token.column = kind, line, position - line_start + 1
                yield token
            if kind in ignored or kind == "_NEWLINE":
                breaks = text.count("\n", position, end)
                if breaks:
                    line += breaks
                    line_start = text.rindex("\n", position, end) + 1
            position = end


def _reduce(rule: Rule, stack: list[int], values: list[Tree | Token], states: Sequence[State]) -> State:
    """Replace the values of a rule by its tree, and return the state that follows."""
    size = rule.size
    if rule.passes:
        stack.pop()
    elif size:
        taken = values[-size:]
        del stack[-size:], values[-size:]
        values.append(_value(rule, taken))
    else:
        values.append(Tree(rule.name, [None] * rule.missing, _NOTHING, _NOTHING, _NOTHING, _NOTHING))
    number = states[stack[-1]].next[rule.origin]
    stack.append(number)
    return states[number]


def _value(rule: Rule, taken: Sequence[Tree | Token]) -> Tree | Token:
    parts = _parts(rule, taken)
    first, last = taken[0], taken[-1]
    begin = first.begin if isinstance(first, Tree) else first
    end = last.end if isinstance(last, Tree) else last
    if rule.expand and len(parts) == 1 and (only := parts[0]) is not None:
        if isinstance(only, Tree):
            only.begin, only.end = begin, end
        return only
    return Tree(rule.name, parts, begin, end, begin, end)


def _parts(rule: Rule, taken: Sequence[Tree | Token]) -> list[Part]:
    parts: list[Part] = []
    for position, inlined, missing in rule.kept:
        if missing:
            parts += [None] * missing
        part = taken[position]
        if not inlined or not isinstance(part, Tree):
            parts.append(part)
        elif parts:
            parts += part.children
        else:  # the list of a repetition grows, so that its length is not paid for again and again
            parts = part.children
    if rule.missing:
        parts += [None] * rule.missing
    return parts


def _nothing() -> Token:
    token = Token()
    token.type, token.line, token.column = "$END", 1, 1
    return token


_NOTHING = _nothing()


def write_tables(tables: Tables, syntax: str) -> str:
    """Return the tables of the grammar `syntax` as JSON."""
    rules = list(dict.fromkeys(rule for state in tables.states for rule in state.ended.values()))
    numbers = {rule: number for number, rule in enumerate(rules)}
    document = {
        "digest": _digest(syntax),
        "pattern": tables.pattern.pattern,
        "name": tables.name.pattern,
        "ignored": sorted(tables.ignored),
        "start": tables.start,
        "end": tables.end,
        "rules": [astuple(rule) for rule in rules],
        "states": [
            [dict(sorted(state.next.items())), {symbol: numbers[rule] for symbol, rule in sorted(state.ended.items())}]
            for state in tables.states
        ],
    }
    parts = (f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in document.items())
    return "{" + ",\n".join(parts) + "}\n"


def read_tables(text: str, syntax: str) -> Tables | None:
    """Read what `write_tables` wrote; None when it is not about `syntax`."""
    document = json.loads(text)
    if document["digest"] != _digest(syntax):
        return None
    rules = [
        Rule(origin, name, size, tuple((place, inlined, none) for place, inlined, none in kept), *rest)
        for origin, name, size, kept, *rest in document["rules"]
    ]
    states = (
        State(onward, {symbol: rules[number] for symbol, number in ended.items()})
        for onward, ended in document["states"]
    )
    return Tables(
        tuple(states),
        document["start"],
        document["end"],
        pattern=re.compile(document["pattern"]),
        ignored=frozenset(document["ignored"]),
        name=re.compile(document["name"]),
    )


def _digest(syntax: str) -> str:
    """Enough to tell that a grammar was changed; a real hash takes longer to load than the tables."""
    return f"{len(syntax)}-{crc32(syntax.encode()):08x}"
