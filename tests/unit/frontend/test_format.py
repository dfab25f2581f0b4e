"""Formatting changes the layout and nothing else, and a second time nothing at all."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import grammar
from compiler.diagnostics import DiagnosticError, Source, Span
from compiler.frontend.format import format_text
from compiler.frontend.parse import parse
from compiler.frontend.syntax import scan

ROOT = Path(__file__).parents[3]
TEXTS = [
    *re.findall(r"^```mesh\n(.*?)^```", grammar.reference(), re.M | re.S),
    *(path.read_text() for path in sorted((ROOT / "examples").glob("*.mesh"))),
    grammar.standard_library(),
]
UGLY = """

fn   f < T >(x:T[...],k:const=2)->T[...]{
  y=x*k   # a
  zz=x  # b
  if k>2{ y=- y }
  else if k==0 { y = x }
  else{ for i in 0 : 3 { y = y-  -1
  z = not(x>0) } }
  # end


  w=x
  -y
  q = f( x ,k = 2)
  u[i] = sum( j )( x [ i , j ]+ 1 )
  v = where(
   a,
     b, # c
    d
    )
  s = x[ : , 1 :,: : 2]

  return  x[0 : 2,... ,- 1]

}
program p( x : input f32 [ 2 ] )
-> ( a : f32 , b:f32)
{ return x }
"""
NEAT = """\
fn f<T>(x: T[...], k: const = 2) -> T[...] {
    y = x * k  # a
    zz = x     # b
    if k > 2 { y = -y } else if k == 0 { y = x } else {
        for i in 0:3 {
            y = y - -1
            z = not (x > 0)
        }
    }
    # end

    w = x
        - y
    q = f(x, k=2)
    u[i] = sum(j) (x[i, j] + 1)
    v = where(
        a,
        b,  # c
        d
    )
    s = x[:, 1:, ::2]

    return x[0:2, ..., -1]
}
program p(x: input f32[2])
        -> (a: f32, b: f32) { return x }
"""


def formatted(text: str) -> str:
    return format_text(Source("t.mesh", text))


def meaning(node: object) -> object:
    """A syntax tree without its places."""
    if isinstance(node, tuple):
        return tuple(meaning(part) for part in node)
    if is_dataclass(node) and not isinstance(node, type | Source | Span):
        return type(node).__name__, *(meaning(getattr(node, f.name)) for f in fields(node) if f.name != "span")
    return None if isinstance(node, Source | Span) else repr(node)


def comments(text: str) -> list[str]:
    return [part.rstrip() for part in re.findall(r"#[^\n]*", re.sub(r'"[^"\n]*"', "", text))]


def holds(text: str) -> None:
    """The three laws of a formatter."""
    neat = formatted(text)
    assert meaning(parse(Source("t.mesh", neat))) == meaning(parse(Source("t.mesh", text)))
    assert comments(neat) == comments(text)
    assert formatted(neat) == neat


def test_an_ugly_program_becomes_a_neat_one() -> None:
    assert formatted(UGLY) == NEAT


@pytest.mark.parametrize("text", TEXTS)
def test_what_we_wrote_keeps_its_meaning(text: str) -> None:
    holds(text)


@pytest.mark.parametrize(
    "path", [*(ROOT / "examples").glob("*.mesh"), ROOT / "grammar" / "std.mesh"], ids=lambda p: p.name
)
def test_our_own_programs_are_laid_out(path: Path) -> None:
    """If this fails, run `meshc fmt` on the file."""
    assert formatted(path.read_text()) == path.read_text()


def pieces(text: str) -> Iterator[str]:
    """The tokens, comments and line breaks of a text; blanks are left out."""
    for kind, part in scan(text):
        if kind in ("BLANK", "COMMENT", "_NEWLINE"):
            yield from re.findall(r"#[^\n]*|\n", part)
        else:
            yield part


GAPS = st.sampled_from([" ", " ", "  ", "\t", "   "])


@given(st.sampled_from([*TEXTS, UGLY]), st.data())
def test_any_blanks_give_the_same_text(text: str, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(GAPS, min_size=7, max_size=7))
    spread = "".join(piece + chosen[number % 7] for number, piece in enumerate(pieces(text)))
    assert formatted(spread) == formatted(text)


BREAKS = st.sampled_from([" ", " ", " ", "\n", "\n\n\n", " # why\n", "\n# because\n", "\t"])


@given(st.sampled_from([*TEXTS[:12], UGLY]), st.data())
def test_any_line_breaks_keep_the_meaning(text: str, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(BREAKS, min_size=13, max_size=13))
    spread = "".join(
        piece + (" " if piece == "\n" or piece.startswith("#") else chosen[number % 13])
        for number, piece in enumerate(pieces(text))
    )
    try:
        parse(Source("t.mesh", spread))
    except DiagnosticError:
        return  # a break where a statement cannot end
    holds(spread)


def test_line_ends_of_windows_are_line_ends() -> None:
    assert formatted(UGLY.replace("\n", "\r\n")) == NEAT


def test_a_wrong_program_is_not_formatted() -> None:
    with pytest.raises(DiagnosticError):
        formatted("program p(")
