"""Find the files that a program imports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import isfile, realpath  # which never raise, unlike those of Path
from pathlib import Path

from compiler.diagnostics import Source
from compiler.frontend.library import Missing
from runtime.files import read_source

SUFFIX = ".mesh"


@dataclass(frozen=True, slots=True)
class FileFinder:
    """Looks beside the importing file, then in `folders` in their order.

    A file that two ways lead to (a link, say) is one source, under the name that it was first found by.
    """

    folders: Sequence[Path] = ()
    found: dict[str, Source] = field(default_factory=dict)

    def open(self, path: Path) -> Source:
        """Read a file; raises E0529."""
        key = realpath(path)
        if key not in self.found:
            self.found[key] = read_source(path)
        return self.found[key]

    def __call__(self, path: tuple[str, ...], importer: str) -> Source | Missing:
        places = [folder.joinpath(*path).with_suffix(SUFFIX) for folder in (Path(importer).parent, *self.folders)]
        for place in places:
            if isfile(place):
                return self.open(place)
        return Missing(tuple(dict.fromkeys(map(str, places))))
