"""Places in source text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A named text: a file the user gave, or a library file of ours (its name then starts with `<`)."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of text of the source called `source`.

    Lines and columns count from 1; the end is exclusive: the column after the last character.
    """

    source: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"
