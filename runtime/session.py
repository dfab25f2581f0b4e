"""Run an image from Python: load, feed, run, fetch.

    session = Session.from_file("mlp.mimg")
    session.feed("x", images)
    session.feed_weights("mlp.safetensors")
    result = session.run()
    probabilities = session.fetch("out")

Arrays are converted as `runtime.feed` says.
"""

from collections.abc import Mapping
from pathlib import Path

from compiler.program.image import Image, Role, Tensor
from compiler.program.serialize import read_file
from emulator import RunResult, run
from runtime.errors import bad_input, did_you_mean
from runtime.feed import Array, accept, read_weights

FED = (Role.INPUT, Role.WEIGHT)


class Session:
    """An image and the arrays it is to run on. What was fed stays for the next run; feeding a name again replaces it.

    Every method that takes a name, an array or a file raises `DiagnosticError` when it does not fit the program.
    """

    def __init__(self, image: Image, kernel_cache: Path | None = None) -> None:
        """`kernel_cache` is a folder for tile kernels compiled to native code; without one they are compiled anew."""
        self.image = image
        self._kernel_cache = kernel_cache
        self._declared = {tensor.name: tensor for tensor in image.tensors if tensor.role in FED}
        self._fed: dict[str, Array] = {}
        self._result: RunResult | None = None

    @classmethod
    def from_image(cls, image: Image, kernel_cache: Path | None = None) -> "Session":
        return cls(image, kernel_cache)

    @classmethod
    def from_file(cls, path: str | Path, kernel_cache: Path | None = None) -> "Session":
        """Load an image file; raises what `compiler.program.serialize.read_file` raises."""
        return cls(read_file(Path(path)), kernel_cache)

    @property
    def declared(self) -> Mapping[str, Tensor]:
        """The inputs and weights of the program by name, in the order of the image."""
        return self._declared

    @property
    def fed(self) -> Mapping[str, Array]:
        """What has been fed so far, already in the declared types."""
        return self._fed

    @property
    def missing(self) -> tuple[Tensor, ...]:
        return tuple(tensor for name, tensor in self._declared.items() if name not in self._fed)

    def feed(self, name: str, array: Array, origin: str = "the array") -> None:
        """Set an input or a weight; raises E0521 for an unknown name, and what `accept` raises."""
        self._fed[name] = accept(self.tensor(name), array, origin)

    def feed_weights(self, path: str | Path) -> None:
        """Set every weight from a safetensors file, in which other tensors may stand too.

        A weight that was fed before keeps its value and may be absent from the file. Raises E0525 for an unreadable
        file, E0526 when it lacks a weight.
        """
        tensors = read_weights(Path(path))
        wanted = [tensor.name for tensor in self.missing if tensor.role is Role.WEIGHT]
        lacking = [name for name in wanted if name not in tensors]
        if lacking:
            listed = ", ".join(f"`{name}`" for name in lacking)
            raise bad_input("E0526", f"`{path}` lacks {listed}", helps=did_you_mean(lacking[0], tensors, "it has"))
        for name in wanted:
            self.feed(name, tensors[name], f"the one in `{path}`")

    def tensor(self, name: str) -> Tensor:
        """Return the declared input or weight called `name`; raises E0521 when there is none."""
        if name not in self._declared:
            raise bad_input(
                "E0521",
                f"program `{self.image.name}` has no input or weight `{name}`",
                helps=did_you_mean(name, self._declared, "it has"),
            )
        return self._declared[name]

    def run(self) -> RunResult:
        """Run on what was fed; raises E0520 when something was not, and `emulator.faults` when the machine stops."""
        if self.missing:
            listed = ", ".join(f"`{t.name}` {t.dtype.value}{list(t.shape)}" for t in self.missing)
            raise bad_input(
                "E0520",
                f"program `{self.image.name}` was not given {listed}",
                helps=[f"on the command line: `--input {self.missing[0].name}=FILE.npy`, or `--input random` for all"],
            )
        self._result = run(self.image, self._fed, self._kernel_cache)
        return self._result

    def fetch(self, name: str) -> Array:
        """Return an output of the latest run, in its declared type; raises E0527 when there is no such output."""
        outputs = self.outputs
        if name not in outputs:
            raise bad_input(
                "E0527",
                f"program `{self.image.name}` has no output `{name}`",
                helps=did_you_mean(name, outputs, "it has"),
            )
        return outputs[name]

    @property
    def outputs(self) -> Mapping[str, Array]:
        """All outputs of the latest run; running first is the caller's part."""
        if self._result is None:
            raise RuntimeError("`run` was not called")
        return self._result.outputs
