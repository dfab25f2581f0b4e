"""The pages of codes, read from `grammar/errors.md`: a row of a table for each, and a section for many."""

import re
from dataclasses import dataclass

import grammar
from runtime.errors import bad_input, did_you_mean

_ROW = re.compile(r"^\| ([EW]\d{4}) \| (.*?) \|$", re.MULTILINE)
_SECTION = re.compile(r"^### ([EW]\d{4})\n\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """`text` is Markdown, possibly empty."""

    code: str
    meaning: str
    text: str


def pages() -> dict[str, Page]:
    """All codes, in the order of the document."""
    document = grammar.errors()
    texts = {code: text.rstrip() for code, text in _SECTION.findall(document)}
    return {code: Page(code, meaning, texts.get(code, "")) for code, meaning in _ROW.findall(document)}


def page_of(word: str) -> Page:
    """The page of a code, in upper or lower case; raises E0548."""
    known = pages()
    if word.upper() not in known:
        helps = did_you_mean(word.upper(), known, "codes")[:1] if re.match(r"(?i)[ew]\d", word) else []
        helps = helps or ["a code stands in the brackets of a message, such as `E0301`"]
        raise bad_input("E0548", f"there is no code `{word}`", helps=helps)
    return known[word.upper()]
