"""Compute the parse tables of the grammar with lark.

`python -m compiler.frontend.tables` writes them beside the grammar; until then, each process computes them anew.
"""

import re
from pathlib import Path

from lark import Lark
from lark.grammar import Rule as LarkRule
from lark.grammar import Terminal
from lark.parsers.lalr_analysis import ParseTableBase, Shift, StateT

import grammar
from compiler.frontend.lalr import Rule, State, Tables, write_tables
from compiler.frontend.recovery import parser


def build_tables() -> Tables:
    """The tables of the grammar as it is now."""
    return _tables(parser())


def main() -> None:
    """Write the tables where `grammar.tables` reads them."""
    path = Path(grammar.__file__).with_name("mesh.tables.json")
    path.write_text(write_tables(build_tables(), grammar.syntax()), encoding="utf-8")


def _tables(lark: Lark) -> Tables:
    """The tables that `lark` computed for its grammar."""
    table = lark.parser.parser._parse_table
    rules = {rule: _rule(rule) for rule in lark.rules}
    order = _numbered(table)
    names = {state: number for number, state in enumerate(order)}
    states = tuple(
        State(
            {symbol: names[target] for symbol, (action, target) in row.items() if action is Shift},
            {symbol: rules[target] for symbol, (action, target) in row.items() if action is not Shift},
        )
        for row in (table.states[state] for state in order)
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


def _numbered(table: ParseTableBase[StateT]) -> list[StateT]:
    """The states in an order that depends on the grammar alone: as they are reached, symbols sorted."""
    order = [table.start_states["start"]]
    known = set(order)
    for state in order:  # which grows
        for _, (action, target) in sorted(table.states[state].items(), key=lambda item: item[0]):
            if action is Shift and target not in known:
                known.add(target)
                order.append(target)
    return order


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


if __name__ == "__main__":
    main()
