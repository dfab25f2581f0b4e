"""Run an image from Python: load, feed, run, fetch.

    session = Session.from_file("mlp.mimg")
    session.feed("x", images)
    session.feed_weights("mlp.safetensors")
    result = session.run()
    probabilities = session.fetch("out")

Arrays are converted as `runtime.feed` says. Programs of one module share weights and states:

    decode = Session.from_file("decode.mimg", shares=prefill)
"""

from collections.abc import Mapping
from pathlib import Path

from compiler.program.image import Image, Role, Tensor
from compiler.program.serialize import read_file
from emulator import RunResult, run
from runtime.errors import bad_input, did_you_mean
from runtime.feed import Array, accept, read_weights, zero_array
from runtime.promises import check_promises

FED = (Role.INPUT, Role.WEIGHT, Role.STATE)
KEPT = (Role.WEIGHT, Role.STATE)
"""What sessions can share."""


class Session:
    """An image and the arrays it is to run on. What was fed stays for the next run; feeding a name again replaces it.

    A state begins with zeros, unless it is fed, and is what the program made of it after each run. A session that
    `shares` with another has the weights and states that both declare in common with it, from then on.

    Every method that takes a name, an array or a file raises `DiagnosticError` when it does not fit the program.
    """

    def __init__(self, image: Image, kernel_cache: Path | None = None, shares: "Session | None" = None) -> None:
        """`kernel_cache` is a folder for tile kernels compiled to native code; without one they are compiled anew."""
        self.image = image
        self._kernel_cache = kernel_cache
        self._declared = {tensor.name: tensor for tensor in image.tensors if tensor.role in FED}
        self._states = [name for name, tensor in self._declared.items() if tensor.role is Role.STATE]
        self._fed: dict[str, Array] = {}
        self._kept: dict[str, Array] = shares._kept if shares is not None else {}
        for name, tensor in self._declared.items():
            if name in self._states:
                self._kept.setdefault(name, zero_array(tensor))
            if tensor.role in KEPT and name in self._kept:
                check_promises(tensor, accept(tensor, self._kept[name], "what is shared"), "what is shared")
        self._result: RunResult | None = None

    @classmethod
    def from_image(cls, image: Image, kernel_cache: Path | None = None, shares: "Session | None" = None) -> "Session":
        return cls(image, kernel_cache, shares)

    @classmethod
    def from_file(
        cls, path: str | Path, kernel_cache: Path | None = None, shares: "Session | None" = None
    ) -> "Session":
        """Load an image file; raises what `compiler.program.serialize.read_file` raises."""
        return cls(read_file(Path(path)), kernel_cache, shares)

    @property
    def declared(self) -> Mapping[str, Tensor]:
        """The inputs, weights and states of the program by name, in the order of the image."""
        return self._declared

    @property
    def fed(self) -> Mapping[str, Array]:
        """What has been fed so far, already in the declared types, and the present values of states."""
        places = {name: self._held(tensor) for name, tensor in self._declared.items()}
        return {name: place[name] for name, place in places.items() if name in place}

    def _held(self, tensor: Tensor) -> dict[str, Array]:
        """Where the array for a tensor is kept."""
        return self._kept if tensor.role in KEPT else self._fed

    @property
    def missing(self) -> tuple[Tensor, ...]:
        fed = self.fed
        return tuple(tensor for name, tensor in self._declared.items() if name not in fed)

    def feed(self, name: str, array: Array, origin: str = "the array") -> None:
        """Set an input, a weight or a state; raises E0521 for an unknown name, E0528 for a broken promise, and what
        `accept` raises."""
        tensor = self.tensor(name)
        accepted = accept(tensor, array, origin)
        check_promises(tensor, accepted, origin)
        self._held(tensor)[name] = accepted

    def reset(self) -> None:
        """Set all states to zeros."""
        self._kept |= {name: zero_array(self._declared[name]) for name in self._states}

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
        """Return the declared input, weight or state called `name`; raises E0521 when there is none."""
        if name not in self._declared:
            raise bad_input(
                "E0521",
                f"program `{self.image.name}` has no input, weight or state `{name}`",
                helps=did_you_mean(name, self._declared, "it has"),
            )
        return self._declared[name]

    def run(self, *, record: bool = False) -> RunResult:
        """Run on what was fed; with `record` the result also tells what happened when.

        Raises E0520 when something was not fed, E0528 when a state has become what it was promised not to be, and
        `emulator.faults` when the machine stops.
        """
        for name in self._states:
            check_promises(self._declared[name], self._kept[name], "what the run before made of it")
        if self.missing:
            listed = ", ".join(f"`{t.name}` {t.dtype.value}{list(t.shape)}" for t in self.missing)
            raise bad_input(
                "E0520",
                f"program `{self.image.name}` was not given {listed}",
                helps=[f"on the command line: `--input {self.missing[0].name}=FILE.npy`, or `--input random` for all"],
            )
        self._result = run(self.image, self.fed, self._kernel_cache, record=record)
        self._kept |= {n: value for n, value in self._result.outputs.items() if n in self._states}
        return self._result

    def fetch(self, name: str) -> Array:
        """Return an output of the latest run or a state, in its declared type; raises E0527 when there is none."""
        if name in self._states:
            return self._kept[name]
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
        """All outputs of the latest run, without states; running first is the caller's part."""
        if self._result is None:
            raise RuntimeError("`run` was not called")
        return {name: value for name, value in self._result.outputs.items() if name not in self._states}
