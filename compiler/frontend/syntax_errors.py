"""Classify a syntax error: what the user most likely meant, and what to do about it."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches

from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from compiler.diagnostics import Diagnostic, Label, Source, Span
from compiler.frontend.tokens import CLOSING, DEFINITIONS, DISPLAY, OPERATORS, RESERVED, STATEMENTS, expected

_CHARACTERS = {
    "&": "write `and`",
    "|": "write `or`",
    "~": "write `not`",
    "!": "write `not`, or `!=` to compare",
    "?": "write `where(condition, a, b)`",
    "^": "write `pow(x, y)` for a power",
    ";": "a statement ends with its line; leave the `;` out",
    '"': "a text ends on its line, and stands only after `assert`",
    "'": "the language has no text values",
    "\\": "a line goes on inside brackets and after an operator; no `\\` is needed",
    "`": "write the name without the quotes",
}
_WORDS = {
    "def": "a function begins with `fn`",
    "func": "a function begins with `fn`",
    "function": "a function begins with `fn`",
    "const": "a size begins with `dim`; an assignment needs no keyword",
    "let": "an assignment needs no keyword: `h = ...`",
    "var": "an assignment needs no keyword: `h = ...`",
    "elif": "write `else if`",
    "include": "a file is taken in with `import`",
    "use": "a file is taken in with `import`",
    "from": "`import name` takes in every function of `name.mesh`",
    "is": "write `==`",
}
_LOOP = "a loop over numbers is `for i in start:stop { ... }`"
_COMMENT = "a comment begins with `#`"
_BODY = "the body stands in braces: `if condition { ... }`, `for i in 0:n { ... }`"
_HABITS = tuple(
    (re.compile(pattern), help)
    for pattern, help in (
        (r"^\s*\w+\s*[-+*/%@]$", "write it out: `y = y + 1`"),
        (r"^\s*\w+ *==$", "an assignment has one `=`"),
        (r"^\s*(?:/|-)$", _COMMENT),
        (r"//$", f"{_COMMENT}; a quotient is rounded by `floor(x / y)`"),
        (r"\bfor\b.*\brange\b", _LOOP),
        (r"\bfor\s*(?:\w+\s*=|\()$", _LOOP),
        (r"^\s*while\b", "a `while` says how many turns it takes at most: `while x > y limit 10 { ... }`"),
        (r"^\s*(?:if|for|else)\b", _BODY),
        (r":=$|\w\s*:$(?<!\))", "an assignment needs neither a colon nor a type: `y = ...`, `y = f32(...)`"),
        (r"=.*\bif$", "`where(condition, a, b)` chooses for each element"),
        (r"\.\s*\w+\s*\($", "functions are called with the value: `sum(x)`, not `x.sum()`"),
        (r"\b(?:sum|prod|max|min|mean)\s*(?:\(\s*\w+)?\s+\w+$", "the indices stand in parentheses: `sum(k) x[k]`"),
        (r"=\s*\[$", "there are no lists: `iota(n)` counts from 0, `concat` joins tensors"),
        (r"^\s*import\s+\"", "the file `folder/name.mesh` is imported as `folder.name`"),
        (r"\"$", "a text stands only after the comma of an `assert`"),
        (
            r"^\s*(?:fn|program)\b.*\)\s*(?:\{|:)$",
            "the type of the result comes after `->`: `fn f(x: f32) -> f32 { ... }`",
        ),
        (r"^\s*(?:fn|program)\b.*\(\s*\w+\s*[,)]$", "a parameter has a type: `x: f32[4]`"),
        (r"^\s*(?:fn|program)\b.*=$", "a body stands in braces: `{ return ... }`"),
        (r"^\s*(?!fn\b)\w+\s*\($", "a statement assigns: `y = f(x)`; nothing is printed"),
        (r"(?:^|\{)\s*\w+\s*\}$", "a body ends with `return ...`"),
    )
)
"""What people write who know another language: the line up to the fault, and what to write here. The first fits."""
_WORD = re.compile(r"(?:\w+|[^\w\s])\Z")
_OPERANDS = {"NAME", "INTEGER", "DECIMAL", "TRUE", "FALSE", "RPAREN", "RBRACKET"}


@dataclass(frozen=True, slots=True)
class _Fault:
    """A token that does not fit: what stood before it, what would have fitted, and the brackets open at that point."""

    token: Token
    previous: Token | None
    accepted: Collection[str]
    brackets: tuple[Token, ...]
    span: Callable[[Token], Span]
    line: str
    """The text of the line up to the end of the faulty token."""

    @property
    def at_end(self) -> bool:
        return self.token.type == "$END"

    @property
    def found(self) -> str:
        return DISPLAY[self.token.type] if self.token.type in ("$END", "_NEWLINE") else f"`{self.token}`"

    @property
    def place(self) -> Span:
        """The faulty token; the place after the token before, when the fault is that something ended."""
        if self.previous is not None and self.token.type in ("$END", "_NEWLINE"):
            return _end_of(self.span(self.previous))
        return self.span(self.token)

    def after(self) -> Span:
        """The place right after the token before."""
        return _end_of(self.span(self.previous)) if self.previous is not None else self.span(self.token)


def diagnose(error: UnexpectedInput, source: Source, line_offset: int = 0) -> Diagnostic:
    """Return the diagnostic for a parser error in `source`, which begins at line `1 + line_offset` of the file."""

    def span(token: Token) -> Span:
        line, column = token.line or 1, token.column or 1
        end_line, end_column = token.end_line or line, token.end_column or column + 1
        return Span(source.name, line + line_offset, column, end_line + line_offset, end_column)

    if isinstance(error, UnexpectedCharacters):
        place = Span(source.name, error.line + line_offset, error.column, error.line + line_offset, error.column + 1)
        return _character(error.char, place)
    assert isinstance(error, UnexpectedToken)
    history = error.token_history or []
    fault = _Fault(
        error.token,
        _before(source.text, history[-1]) if history and isinstance(history[-1], Token) else None,
        error.accepts or error.expected or (),
        _open_brackets(source.text, error.token.start_pos if error.token.type != "$END" else None),
        span,
        line=_line(source.text, error.token),
    )
    return next(diagnostic for rule in _RULES if (diagnostic := rule(fault)) is not None)


def _line(text: str, token: Token) -> str:
    lines = text.split("\n")
    return lines[(token.line or 1) - 1][: (token.end_column or 1) - 1] if token.type != "$END" else lines[-1]


def _habit(fault: _Fault) -> tuple[str, ...]:
    """The help for something that another language writes so."""
    return next(((help,) for pattern, help in _HABITS if pattern.search(fault.line)), ())


def _character(character: str, place: Span) -> Diagnostic:
    shown = f"`{character}`" if character.isprintable() else f"the character U+{ord(character):04X}"
    helps = (_CHARACTERS[character],) if character in _CHARACTERS else ()
    return Diagnostic("E0101", f"{shown} is not part of the language", (Label(place),), helps=helps)


def _unclosed(fault: _Fault) -> Diagnostic | None:
    """A bracket is still open where the text, the definition or the line ends."""
    if not fault.brackets or fault.token.type in CLOSING.values():
        return None
    bracket = fault.brackets[-1]
    closing = CLOSING[bracket.type]
    new_line = fault.previous is not None and (fault.previous.line or 0) < (fault.token.line or 0)
    line_ends = bracket.type != "LBRACE" and new_line and closing in fault.accepted
    head_ends = bracket.type != "LBRACE" and fault.token.type in ("ARROW", "LBRACE")
    if not (fault.at_end or fault.token.type in DEFINITIONS or line_ends or head_ends):
        return None
    labels = (Label(fault.after(), f"{DISPLAY[closing]} is missing here"), Label(fault.span(bracket), "opened here"))
    return Diagnostic("E0103", f"`{bracket}` is never closed", labels)


def _inner(fault: _Fault) -> Diagnostic | None:
    """A function inside of a branch or a loop; one at the beginning of a line lacks a brace before it."""
    if fault.token.type != "_FN" or "_RETURN" not in fault.accepted or fault.span(fault.token).column == 1:
        return None
    helps = ("define it before, directly in the body or outside of it",)
    labels = Label(fault.place), Label(fault.span(fault.brackets[-1]), "inside of this")
    return Diagnostic("E0114", "a function is defined inside of an `if`, a `for` or a `while`", labels, helps=helps)


def _closing(fault: _Fault) -> Diagnostic | None:
    """A closing bracket without an opening one, or of another kind."""
    if fault.token.type not in CLOSING.values():
        return None
    place = Label(fault.span(fault.token))
    if not any(CLOSING[bracket.type] == fault.token.type for bracket in fault.brackets):
        return Diagnostic("E0104", f"{fault.found} closes nothing", (place,), helps=("remove it",))
    bracket = fault.brackets[-1]
    if CLOSING[bracket.type] == fault.token.type:
        return None
    wanted = DISPLAY[CLOSING[bracket.type]]
    labels = (Label(place.span, f"{wanted} is expected before this"), Label(fault.span(bracket), "opened here"))
    return Diagnostic("E0103", f"`{bracket}` is not closed before {fault.found}", labels)


def _outside(fault: _Fault) -> Diagnostic | None:
    """Something else than a definition at the top of the file."""
    if fault.brackets or not set(fault.accepted) >= DEFINITIONS or fault.token.type in OPERATORS:
        return None
    word = str(fault.token)
    close = get_close_matches(word, ["import", "semantics", "dim", "assert", "fn", "program"], 1)
    helps = [_WORDS[word]] if word in _WORDS else [f"did you mean `{close[0]}`?"] if close else []
    message = f"{fault.found} stands outside of any function or program"
    helps += [] if helps else ["a file consists of `import`, `semantics`, `dim`, `assert`, `fn` and `program`"]
    return Diagnostic("E0109", message, (Label(fault.place),), helps=tuple(helps))


def _comparison(fault: _Fault) -> Diagnostic | None:
    if fault.token.type != "ASSIGN" or "EQUAL" not in fault.accepted:
        return None
    helps = ("`==` compares; a statement assigns to one name: `h = ...` or `h[i, j] = ...`",)
    return Diagnostic("E0105", "`=` stands inside an expression", (Label(fault.place),), helps=helps)


def _reserved(fault: _Fault) -> Diagnostic | None:
    if fault.token.type not in RESERVED or "NAME" not in fault.accepted:
        return None
    if fault.token.type in OPERATORS | DEFINITIONS | STATEMENTS and "INTEGER" in fault.accepted:
        return None
    message = f"`{fault.token}` is a word of the language and cannot be a name"
    return Diagnostic(
        "E0110", message, (Label(fault.place),), helps=(f"choose another name, for example `{fault.token}_`",)
    )


def _number(fault: _Fault) -> Diagnostic | None:
    previous = fault.previous
    if previous is None or previous.type not in ("INTEGER", "DECIMAL") or previous.end_pos != fault.token.start_pos:
        return None
    if fault.token.type not in ("NAME", "INTEGER", "DECIMAL", "DOT"):
        return None
    first, second = fault.span(previous), fault.span(fault.token)
    whole = Span(first.source, first.line, first.column, second.end_line, second.end_column)
    helps: tuple[str, ...] = ()
    if str(fault.token).startswith("_"):
        helps = ("numbers have no `_` in them",)
    elif fault.token.type == "NAME" and previous == "0":
        helps = ("numbers are decimal",)
    elif fault.token.type == "NAME":
        helps = (f"write `{previous} * {fault.token}` for a product",)
    return Diagnostic("E0107", f"`{previous}{fault.token}` is not a number", (Label(whole),), helps=helps)


def _operand(fault: _Fault) -> Diagnostic | None:
    """An operator, or the end of something, where an operand should stand."""
    if "INTEGER" not in fault.accepted or "NAME" not in fault.accepted:
        return None
    if fault.token.type not in OPERATORS | {"_NEWLINE", "RPAREN", "RBRACKET", "RBRACE", "COMMA", "$END", *STATEMENTS}:
        return None
    before = f" after `{fault.previous}`" if fault.previous is not None else ""
    helps = ("`**` is no operator: write `pow(x, y)`",) if fault.previous == fault.token == "*" else _habit(fault)
    message = f"an expression is expected{before}, but {fault.found} is found"
    later = fault.previous is not None and (fault.previous.line or 0) < (fault.token.line or 0)
    return Diagnostic("E0108", message, (Label(fault.after() if later else fault.place),), helps=helps)


def _unexpected(fault: _Fault) -> Diagnostic:
    """Anything else: what was found and what would have fitted."""
    previous = fault.previous
    helps = _habit(fault)
    words = [str(token) for token in (previous, fault.token) if token is not None and token in _WORDS]
    if words:
        helps = (_WORDS[words[0]],)
    elif helps:
        pass
    elif previous is not None and previous.type in _OPERANDS and fault.token.type in _OPERANDS | {"LPAREN"}:
        helps = ("is an operator missing in between?",)
    message = f"{expected(fault.accepted)} is expected, but {fault.found} is found"
    return Diagnostic("E0102", message, (Label(fault.place),), helps=helps)


_RULES: tuple[Callable[[_Fault], Diagnostic | None], ...] = (
    *(_inner, _unclosed, _closing, _outside, _comparison, _reserved, _number, _operand, _unexpected),
)


def _before(text: str, last: Token) -> Token:
    """The last token, or the one before it when a line break that means nothing was last."""
    code = text[: last.start_pos].rstrip()
    word = _WORD.search(code)
    if last.type != "_NEWLINE" or word is None:
        return last
    line = code.count("\n") + 1
    column = word.start() - code.rfind("\n")
    kind = "NAME" if word.group().isidentifier() else "INTEGER" if word.group().isalnum() else "PLUS"
    return Token(kind, word.group(), word.start(), line, column, line, column + len(word.group()), word.end())


def _end_of(span: Span) -> Span:
    return Span(span.source, span.end_line, span.end_column, span.end_line, span.end_column + 1)


def _open_brackets(text: str, end: int | None) -> tuple[Token, ...]:
    """The brackets before position `end` that nothing has closed yet, outermost first."""
    names = {"(": "LPAREN", "[": "LBRACKET", "{": "LBRACE"}
    stack: list[Token] = []
    position = 0
    for number, line in enumerate(text[:end].split("\n"), 1):
        code = line.partition("#")[0]
        for column, character in enumerate(code, 1):
            if character in names:
                stack.append(Token(names[character], character, position, number, column, number, column + 1))
            elif character in ")]}" and stack:
                stack.pop()
        position += len(line) + 1
    return tuple(stack)
