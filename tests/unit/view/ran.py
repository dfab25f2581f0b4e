"""Small programs, compiled and run with a recording, once per process."""

from dataclasses import dataclass
from functools import cache

from compiler.frontend import load, lower
from compiler.ir import TensorGraph
from compiler.pipeline import compile_graph
from compiler.program.image import Image, Role
from compiler.target import load_machine
from emulator import run
from runtime.feed import random_array
from runtime.runfile import RunFile
from runtime.view.graphs import GraphRecord, pass_steps
from runtime.view.model import Run, ViewModel, build

MLP = """
dim B = 64, H = 256

fn dense(x: bf16[M, K], w: bf16[K, N], b: bf16[N]) -> bf16[M, N] {
    return x @ w + b
}

program mlp(x: input bf16[B, 96], w1: weight bf16[96, H], b1: weight bf16[H], w2: weight bf16[H, 10],
            b2: weight bf16[10]) -> bf16[B, 10] {
    h = relu(dense(x, w1, b1))
    return softmax(dense(h, w2, b2), axis=1)
}
"""

WIDE = """
program wide(x: input f32[128, 256], g: weight f32[256]) -> f32[128, 256] {
    average[i]  = mean(j) x[i, j]
    spread[i]   = mean(j) (x[i, j] - average[i]) * (x[i, j] - average[i])
    y[i, j]     = (x[i, j] - average[i]) * rsqrt(spread[i] + 0.00001) * g[j]
    return y
}
"""

TURNED = """
program turned(x: input bf16[100, 70], y: input bf16[50, 140]) -> bf16[50, 140] {
    z = reshape(x, 50, 140) + y
    return exp(z)
}
"""

PRODUCT = """
program product(a: input bf16[256, 256], b: input bf16[256, 256]) -> bf16[256, 256] {
    c[i, j] = sum(k) a[i, k] * b[k, j]
    return c
}
"""

PROGRAMS = {"mlp": MLP, "wide": WIDE, "turned": TURNED, "product": PRODUCT}
MACHINES = ("mesh_4x4", "wormhole_n150")
CASES = [(name, machine) for name in PROGRAMS for machine in MACHINES]


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """A program that ran, and the view of it."""

    graph: TensorGraph
    content: RunFile
    model: ViewModel

    @property
    def image(self) -> Image:
        return self.content.image


@cache
def ran(name: str, machine: str = "mesh_4x4") -> Ran:
    graph = lower(load(PROGRAMS[name], f"{name}.mesh"), None, {})
    sizes: list[tuple[str, int]] = []

    def observe(step: str, value: object) -> None:
        if isinstance(value, TensorGraph):
            sizes.append((step, len(value.ops)))

    compiled = compile_graph(graph, load_machine(machine), observe=observe)
    image = compiled.image
    fed = {t.name: random_array(t, 0) for t in image.tensors if t.role in (Role.INPUT, Role.WEIGHT)}
    result = run(image, fed, record=True)
    record = GraphRecord(graph, compiled.graph, pass_steps(len(graph.ops), sizes))
    content = RunFile(image, Run(result.profile, result.recording), record)
    return Ran(graph, content, build(image, content.run, record))
