"""Put an SVG together. It follows the reader's color scheme, and says in words what it shows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#15181d}.soft{fill:#515a66}.small{font-size:10px}.bold{font-weight:600}"
    ".mid{text-anchor:middle}.line{stroke:#c4cad3;fill:none}.on{fill:#111}"
    "@media (prefers-color-scheme:dark){text{fill:#eceff4}.soft{fill:#a9b2bf}.on{fill:#111}.line{stroke:#4a515d}}"
)
LINE_HEIGHT = 18


@dataclass(slots=True)
class Canvas:
    """Elements in the order in which they are painted; coordinates are pixels."""

    width: float
    height: float
    title: str
    elements: list[str] = field(default_factory=list)

    def add(self, tag: str, content: str, **attributes: object) -> None:
        """Add an element; `class_` stands for `class`, `_` in names for `-`."""
        named = ((name.rstrip("_").replace("_", "-"), _text(value)) for name, value in attributes.items())
        opening = " ".join([tag, *(f"{name}={quoteattr(value)}" for name, value in named)])
        self.elements.append(f"<{opening}>{content}</{tag}>" if content else f"<{opening}/>")

    def text(self, x: float, y: float, text: str, class_: str = "") -> None:
        self.add("text", escape(text), x=x, y=y, class_=class_)

    def rect(self, x: float, y: float, width: float, height: float, fill: str, title: str = "", **more: object) -> None:
        """A rectangle; `title` is shown when the pointer rests on it."""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self.add("rect", inside, x=x, y=y, width=width, height=height, fill=fill, **more)

    def path(self, d: str, **attributes: object) -> None:
        self.add("path", "", d=d, fill="none", **attributes)

    def legend(self, x: float, y: float, items: Iterable[tuple[str, str]], width: float) -> float:
        """Color keys from `(x, y)` on, in lines of at most `width`; return where the last line ends."""
        left = x
        for color, text in items:
            size = 26 + 7.4 * len(text)
            if left + size > x + width and left > x:
                left, y = x, y + LINE_HEIGHT
            self.rect(left, y - 10, 12, 12, color, rx=2)
            self.text(left + 17, y, text, "soft")
            left += size
        return y + LINE_HEIGHT

    def render(self) -> str:
        body = "\n".join(self.elements)
        size = f'viewBox="0 0 {_text(self.width)} {_text(self.height)}" width="{_text(self.width)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(self.title)}>'
        return f"{head}\n<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n{body}\n</svg>\n"


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
