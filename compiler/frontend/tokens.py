"""How messages speak of the terminals of the grammar."""

from collections.abc import Collection

DISPLAY = {
    "_DIM": "`dim`",
    "_SEMANTICS": "`semantics`",
    "_FN": "`fn`",
    "_PROGRAM": "`program`",
    "_RETURN": "`return`",
    "_IMPORT": "`import`",
    "_FOR": "`for`",
    "_IN": "`in`",
    "_WHILE": "`while`",
    "_LIMIT": "`limit`",
    "_IF": "`if`",
    "_ELSE": "`else`",
    "_ASSERT": "`assert`",
    "PREFER": "`prefer`",
    "_ON": "`on cores`",
    "_CORES": "`cores`",
    "_AT_CORE": "`at core`",
    "_CORE": "`core`",
    "_EPOCH": "`epoch`",
    "_BUFFERS": "`buffers`",
    "_FIDELITY": "`fidelity`",
    "_ACCUMULATE": "`accumulate`",
    "RESIDENT": "`resident`",
    "STREAM": "`stream`",
    "AND": "`and`",
    "OR": "`or`",
    "NOT": "`not`",
    "TRUE": "`true`",
    "FALSE": "`false`",
    "MODE": "`input`, `weight` or `state`",
    "FINITE": "`finite`",
    "NAME": "a name",
    "DECIMAL": "a number",
    "INTEGER": "a number",
    "STRING": "a text",
    "ELLIPSIS": "`...`",
    "ARROW": "`->`",
    "LESS_EQUAL": "`<=`",
    "GREATER_EQUAL": "`>=`",
    "EQUAL": "`==`",
    "NOT_EQUAL": "`!=`",
    "LESS": "`<`",
    "GREATER": "`>`",
    "ASSIGN": "`=`",
    "PLUS": "`+`",
    "MINUS": "`-`",
    "STAR": "`*`",
    "SLASH": "`/`",
    "PERCENT": "`%`",
    "AT": "`@`",
    "DOT": "`.`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "LPAREN": "`(`",
    "RPAREN": "`)`",
    "LBRACKET": "`[`",
    "RBRACKET": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "_NEWLINE": "the end of the line",
    "$END": "the end of the file",
}
"""What a message shows for each terminal."""

DEFINITIONS = {"_IMPORT", "_SEMANTICS", "_DIM", "_FN", "_PROGRAM"}
STATEMENTS = {"_RETURN", "_FOR", "_WHILE", "_IF", "_ASSERT"}
"""Words that open a statement."""
RESERVED = {*DEFINITIONS - {"_SEMANTICS"}, *STATEMENTS, "_IN", "_ELSE", "AND", "OR", "NOT", "TRUE", "FALSE"}
CLOSING = {"LPAREN": "RPAREN", "LBRACKET": "RBRACKET", "LBRACE": "RBRACE"}

_SCALES = {"STAR", "SLASH", "PERCENT", "AT"}
OPERATORS = {
    *_SCALES,
    *("PLUS", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL", "AND", "OR"),
}
"""Terminals that stand between two operands; `-` can also open one."""
_OPENERS = {"NAME", "INTEGER", "DECIMAL", "TRUE", "FALSE", "LPAREN", "MINUS"}
_SHOWN = 5


def expected(accepted: Collection[str]) -> str:
    """Describe the terminals that would have fitted, as the subject of "... is expected"."""
    left = set(accepted) - {"ELLIPSIS", "NOT"} if set(accepted) >= _OPENERS else set(accepted)
    words: list[str] = []
    for group, name in ((_OPENERS, "an expression"), (_SCALES, "an operator")):
        if left >= group:
            words.append(name)
            left -= group | (OPERATORS | {"MINUS", "DOT", "LBRACKET"} if group is _SCALES else set())
    words += [text for terminal, text in DISPLAY.items() if terminal in left]
    words = list(dict.fromkeys(words))[:_SHOWN]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing more"
