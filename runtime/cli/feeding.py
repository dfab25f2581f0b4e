"""What `meshc run` feeds a session, from its options."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from compiler.program.image import Tensor
from runtime.errors import bad_input
from runtime.feed import Array, random_array, read_array, zero_array
from runtime.promises import within_promise
from runtime.session import Session

EVERYTHING = ""
"""The name under which a generator for all tensors that remain is kept."""


def feed(session: Session, arguments: Namespace) -> None:
    """Feed everything that `--input` and `--weights` name; raises a diagnostic for the first that does not fit."""
    inputs = pairs("--input", arguments.input, {"random", "zeros"})
    generators: dict[str, Callable[[Tensor], Array]] = {
        "random": lambda tensor: within_promise(tensor, random_array(tensor, arguments.seed)),
        "zeros": zero_array,
    }
    for name, value in inputs.items():
        if name != EVERYTHING:
            tensor = session.tensor(name)
            make = generators.get(value, lambda tensor, file=value: read_array(Path(file), tensor.name))
            session.feed(name, make(tensor), f"the array in `{value}`")
    if arguments.weights is not None:
        session.feed_weights(arguments.weights)
    if EVERYTHING in inputs:
        for tensor in session.missing:
            session.feed(tensor.name, generators[inputs[EVERYTHING]](tensor))


def pairs(option: str, settings: list[str], alone: set[str]) -> dict[str, str]:
    """Read `NAME=VALUE` settings; a value of `alone` may stand without a name, and is then kept under `EVERYTHING`.

    Raises E0534 for a setting of another form and for a name that is given twice.
    """
    found: dict[str, str] = {}
    for setting in settings:
        name, equals, value = (EVERYTHING, "=", setting) if setting in alone else setting.partition("=")
        if not (equals and value) or (not name and setting not in alone):
            raise bad_input("E0534", f"`{option} {setting}` is not of the form NAME=FILE", helps=[f"{option} x=x.npy"])
        if name in found:
            raise bad_input("E0534", f"`{option}` is given twice for {f'`{name}`' if name else 'all that remain'}")
        found[name] = value
    return found
