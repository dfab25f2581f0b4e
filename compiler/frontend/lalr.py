"""Drive lark's parse tables: the trees of `lark.Lark.parse`, several times faster, and only for texts without errors.

lark turns the grammar into tables once; walking them needs little. What makes the difference for long texts are trees
that remember two tokens instead of computing positions at every reduction.

A terminal that looks like a name is a word only where the grammar expects it, as with lark's contextual lexer.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lark import Lark
from lark.grammar import Rule as LarkRule
from lark.grammar import Terminal
from lark.parsers.lalr_analysis import Shift


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


def tables(lark: Lark) -> Tables:
    """The tables that `lark` computed for its grammar."""
    table = lark.parser.parser._parse_table
    rules = {rule: _rule(rule) for rule in lark.rules}
    names = {state: number for number, state in enumerate(table.states)}
    states = tuple(
        State(
            {symbol: names[target] for symbol, (action, target) in row.items() if action is Shift},
            {symbol: rules[target] for symbol, (action, target) in row.items() if action is not Shift},
        )
        for row in table.states.values()
    )
    terminals = sorted(lark.terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name))
    return Tables(
        states,
        names[table.start_states["start"]],
        names[table.end_states["start"]],
        pattern=re.compile("|".join(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in terminals)),
        ignored=frozenset(lark.ignore_tokens),
        name=re.compile(next(t.pattern.to_regexp() for t in terminals if t.name == "NAME")),
    )


def _rule(rule: LarkRule) -> Rule:
    """What lark does when it builds a tree for `rule` (see its `ParseTreeBuilder`)."""
    kept: list[tuple[int, bool, int]] = []
    pattern = rule.options.empty_indices or [False] * len(rule.expansion)
    missing = position = 0
    for is_empty in pattern:
        if is_empty:
            missing += 1
            continue
        symbol = rule.expansion[position]
        if not (isinstance(symbol, Terminal) and symbol.filter_out):
            kept.append((position, not symbol.is_term and symbol.name.startswith("_"), missing))
            missing = 0
        position += 1
    name = rule.alias or rule.origin.name
    expand = bool(rule.options.expand1) and not rule.alias
    size = len(rule.expansion)
    passes = expand and size == 1 and kept == [(0, False, 0)] and not missing
    return Rule(rule.origin.name, name, size, tuple(kept), missing, expand, passes)
