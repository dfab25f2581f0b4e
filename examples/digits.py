"""Classify the 1,797 handwritten digits of scikit-learn on the emulated chip, and on NumPy beside it.

Shows how a program is compiled and run from Python: load, lower, compile, feed, run, fetch.
"""

from pathlib import Path
from time import perf_counter

import numpy as np

from compiler.frontend import load, lower
from compiler.pipeline import CompileOptions, compile_graph
from compiler.target.load import load_machine
from runtime.feed import Array, read_array
from runtime.reference import evaluate
from runtime.session import Session

HERE = Path(__file__).parent
SHOWN = 3
SHADES = " .:-=+*#%@"


def main() -> None:
    source = HERE / "digits.mesh"
    machine = load_machine("wormhole_n150")
    start = perf_counter()
    graph = lower(load(source.read_text(), source.name), None, {})
    image = compile_graph(graph, machine, CompileOptions()).image
    compiled = perf_counter()

    session = Session.from_image(image)
    data = HERE / "digits.npz"
    session.feed("images", read_array(data, "images"))
    session.feed_weights(HERE / "digits.safetensors")
    result = session.run()
    ran = perf_counter()

    (name,) = result.outputs
    labels = read_array(data, "labels")
    held_out = read_array(data, "held_out")
    emulated = classes(session.fetch(name))
    reference = classes(evaluate(graph, session.fed)[name])

    show(read_array(data, "images"), emulated)
    print(f"{len(labels)} images on {machine.name}: {result.profile.makespan:,} cycles, "
          f"{result.profile.makespan / machine.clock_ghz / 1000:.0f} us at {machine.clock_ghz:g} GHz")  # fmt: skip
    print(f"accuracy            emulated {np.mean(emulated == labels):.2%}   NumPy {np.mean(reference == labels):.2%}")
    print(f"  held out ({held_out.sum()})    emulated {np.mean((emulated == labels)[held_out]):.2%}   "
          f"NumPy {np.mean((reference == labels)[held_out]):.2%}")  # fmt: skip
    print(f"same class for {np.sum(emulated == reference)} of {len(labels)} images")
    print(f"compiled in {compiled - start:.2f} s, emulated in {ran - compiled:.2f} s")
    print("Where to look next: examples/digits.mesh (the program), examples/digits.py (this run), docs/tutorial.md")


def classes(probabilities: Array) -> Array:
    """Return the most probable digit of each row."""
    return np.asarray(np.argmax(probabilities.astype(np.float32), axis=1))


def show(images: Array, answers: Array) -> None:
    """Draw the first images side by side, with the answers under them."""
    rows = (images[:SHOWN].reshape(SHOWN, 8, 8).astype(np.float32) * (len(SHADES) - 1)).astype(int)
    for y in range(8):
        print("   ".join("".join(SHADES[shade] * 2 for shade in image[y]) for image in rows))
    print("   ".join(f"emulated: {answer}".center(16) for answer in answers[:SHOWN]), "\n")


if __name__ == "__main__":
    main()
