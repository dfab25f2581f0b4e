"""Sums of products in index notation against `numpy.einsum`, for any letters, orders and extents."""

from dataclasses import dataclass

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st

from compiler.frontend import load, lower
from compiler.ir import Contract
from runtime.reference import evaluate


@dataclass(frozen=True, slots=True)
class Product:
    """`out[...] = sum(summed) a[...] * b[...]`, in letters."""

    a: str
    b: str
    out: str
    extents: dict[str, int]

    @property
    def summed(self) -> str:
        return "".join(sorted(set(self.a + self.b) - set(self.out)))

    @property
    def text(self) -> str:
        def brackets(letters: str) -> str:
            return f"[{', '.join(letters)}]" if letters else ""

        def type(letters: str) -> str:
            return "f32" + (f"[{', '.join(str(self.extents[letter]) for letter in letters)}]" if letters else "")

        reduction = f"sum({', '.join(self.summed)}) " if self.summed else ""
        value = f"{reduction}x{brackets(self.a)} * y{brackets(self.b)}"
        return (
            f"program p(x: input {type(self.a)}, y: input {type(self.b)}) -> {type(self.out)} {{\n"
            f"    z{brackets(self.out)} = {value}\n    return z\n}}\n"
        )


@st.composite
def products(draw: st.DrawFn) -> Product:
    letters = "ijkl"
    a = "".join(draw(st.permutations(letters)))[: draw(st.integers(1, 4))]
    b = "".join(draw(st.permutations(letters)))[: draw(st.integers(1, 4))]
    union = sorted(set(a + b))
    out = "".join(draw(st.permutations(union)))[: draw(st.integers(0, len(union)))]
    return Product(a, b, out, {letter: draw(st.integers(1, 4)) for letter in letters})


@given(products(), st.integers(0, 2**32 - 1))
def test_sum_of_products_is_einsum(product: Product, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (
        rng.integers(-8, 9, [product.extents[c] for c in axes]).astype(np.float32) for axes in (product.a, product.b)
    )
    graph = lower(load(product.text, "t.mesh"), None, {})
    event(f"contraction: {any(isinstance(op.kind, Contract) for op in graph.ops)}")
    (value,) = evaluate(graph, {"x": x, "y": y}).values()
    np.testing.assert_array_equal(value, np.einsum(f"{product.a},{product.b}->{product.out}", x, y))


@given(products())
def test_a_contraction_is_found_wherever_there_is_one(product: Product) -> None:
    graph = lower(load(product.text, "t.mesh"), None, {})
    shared, own = set(product.a) & set(product.b), set(product.a) ^ set(product.b)
    expected = bool(product.summed) and set(product.summed) <= shared and bool(own)
    assert any(isinstance(op.kind, Contract) for op in graph.ops) == expected
