"""What the language has, as pieces of programs, and programs made of some of them.

A piece is some lines of a body, `->` and the types of the values `$0`, `$1`, ... that it defines; one without `$0` is
an expression. What stands before `%%` belongs outside of the program, and `#` is a number that no other piece has.
`{f:N,D}` is a value of a type and extents, found or asked for; a letter is one extent throughout the piece. `f` is a
float type, `n` one of numbers, `F`, `i` and `b` are f32, i32 and bool. `{c=state F:4,D}` is a new state, which `{c}`
names again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

UNARY = ("exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "floor", "ceil", "round", "abs", "sign")
FOLDS = ("sum", "prod", "max", "min", "mean")
PLACES = ("argmax", "argmin")
STORED = ("f32", "bf16", "f16", "fp8_e4m3", "fp8_e5m2", "bfp8", "bfp4", "bfp2", "i32", "i8", "u8")

EXPRESSIONS = (
    *(f"{name}({{f:N,D}}) -> f:N,D" for name in UNARY),
    *(f"{name}({{f:N,D}}, axis={axis}) -> f:{left}" for name in FOLDS for axis, left in (("1", "N"), ("-2", "D"))),
    *(f"{name}({{n:N,D}}, axis=(0, 1), keepdims=true) -> n:1,1" for name in ("sum", "max", "min")),
    *(f"{name}({{b:N,D}}) -> b:" for name in ("any", "all")),
    *(f"{name}({{n:N,D}}, axis=1) -> i:N" for name in PLACES),
    *(f"{name}({{n:N,D}}, {{n:D}}) -> n:N,D" for name in ("min", "max", "minimum", "maximum")),
    *(f"f32({name}({{F:N,D}})) -> F:N,D" for name in STORED),
    *(f"{{n:N,D}} {op} {{n:D}} -> n:N,D" for op in "+-*"),
    *(f"{{f:N,1}} {op} {{f:N,D}} -> f:N,D" for op in "/%"),
    *(f"{{n:N,D}} {op} {{n:N,D}} -> b:N,D" for op in ("<", "<=", ">", ">=", "==", "!=")),
    "bool({n:N,D}) -> b:N,D",
    "pow(abs({f:N,D}), {f:}) -> f:N,D",
    "where({b:N,1}, {n:N,D}, 0) -> n:N,D",
    "not {b:N} and ({b:N} or true) or false -> b:N",
    "-{n:N,D} + 3 * {n:} -> n:N,D",
    "(2.5 - {f:N} / sqrt(2)) * pi + 1e-3 -> f:N",
    "minimum({f:N}, inf) -> f:N",
    "{f:N,D} @ {f:D,K} -> f:N,K",
    "{i:2,N,D} @ {i:D} -> i:2,N",
    "{f:D} @ {f:2,D,K} -> f:2,K",
    "{n:N,D}.T -> n:D,N",
    "{n:N,6}[..., 0:5:2] -> n:N,3",
    "{n:4,D}[-1, :] -> n:D",
    "{n:4,D}[1:] -> n:3,D",
    "{n:5,D}[{i:}] -> n:D",
    "transpose({n:N,2,D}, 1, 2, 0) -> n:2,D,N",
    "transpose({n:N,D}) -> n:D,N",
    "reshape({n:N,6}, -1, 3, 2) -> n:N,3,2",
    "reshape(iota(12), 3, 4) % 5 -> i:3,4",
    "concat({n:N,2}, {n:N,3}, {n:N,1}, axis=1) -> n:N,6",
    "pad({n:N,2}, axis=1, before=1, after=2) -> n:N,5",
    "pad({f:2,3}, axis=(0, 1), before=(1, 0), after=1, value=-inf) -> f:4,4",
    "windows({n:N,8}, axis=1, size=3, stride=2, dilation=1) -> n:N,3,3",
    "take({f:5,D}, {i:N}, axis=0) -> f:N,D",
    # The standard library.
    *(f"{name}({{f:N,D}}) -> f:N,D" for name in ("relu", "leaky_relu", "sigmoid", "silu", "gelu", "gelu_tanh")),
    *(f"{name}({{f:N,D}}) -> f:N,D" for name in ("softplus", "softmax", "log_softmax", "sort")),
    "attention({f:2,M,D}, {f:2,N,D}, {f:2,N,K}) -> f:2,M,K",
    "attention_within({f:2,M,D}, {f:2,N,D}, {f:2,N,K}, {i:2}) -> f:2,M,K",
    "masked_softmax({f:N,D}, {b:N,D}) -> f:N,D",
    "layernorm({f:N,D}, {f:D}, {f:D}, eps=0.5) -> f:N,D",
    "rmsnorm({f:N,D}, {f:D}) -> f:N,D",
    "first({i:N}, 5) -> b:N,5",
    "within({n:2,N,D}, {i:2}) -> n:2,N,D",
    "mean_within({f:N,D}, {i:}) -> f:D",
    "one_hot({i:N}, 5) -> b:N,5",
    "embedding({i:N}, {f:5,D}) -> f:N,D",
    "scatter_add({i:N}, {f:N,D}, rows=4) -> f:4,D",
    "tril({n:N,D}) -> n:N,D",
    "triu({n:N,D}, diagonal=1) -> n:N,D",
    "rank({f:N,4}) -> i:N,4",
    "conv1d({f:2,3,8}, {f:4,3,3}, stride=2, padding=1) -> f:2,4,4",
    "conv2d({f:1,2,5,5}, {f:3,2,3,3}) -> f:1,3,3,3",
    "depthwise_conv2d({f:1,2,5,5}, {f:2,3,3}) -> f:1,2,3,3",
    "max_pool2d({f:1,2,4,6}) -> f:1,2,2,3",
    "avg_pool2d({f:1,2,4,6}) -> f:1,2,2,3",
    "gru_cell({f:N,D}, {f:N,2}, {f:D,6}, {f:2,6}, {f:6}, {f:6}) -> f:N,2",
    "mixture_of_experts({F:N,D}, {F:D,3}, {F:3,D,K}, {F:3,K,D}, k=2) -> F:N,D",
    "linear({f:N,D}, {f:D,K}) -> f:N,K",
    "dense({f:N,D}, {f:D,K}, {f:K}) -> f:N,K",
    "causal_attention({F:2,3,D}, {F:2,4,D}, {F:2,4,K}) -> F:2,3,K",
    "sliding_window_attention({F:3,D}, {F:4,D}, {F:4,K}, window=2) -> F:3,K",
    "grouped_attention({F:4,3,D}, {F:2,3,D}, {F:2,3,K}) -> F:4,3,K",
    "weighted_mean(abs({F:M,N}) + 1.0, {F:N,K}) -> F:M,K",
    "rotary({f:N,4}, {i:N}) -> f:N,4",
    *(f"{name}({{f:N,D}}, {{f:N,D}}) -> F:" for name in ("mse", "mae", "cross_entropy", "binary_cross_entropy")),
)

INDEXED = (
    "$0[i, j] = sum(k) {n:N,D}[i, k] * {n:D,K}[k, j] -> n:N,K",
    "$0[j] = 0.5 * mean(i) {f:N,D}[i, j] -> f:D",
    "$0[j, i] = {n:N,D}[i, j] + {n:D}[j] -> n:D,N",
    "$0[..., i] = max(j) {f:N,D,K}[..., i, j] -> f:N,D",
    "$0[i] = {n:4,4}[i, i] -> n:4",
    "$0[k, p] = sum(c, r) {f:2,8}[c, 2 * p + r - 0] * {f:3,2,3}[k, c, r] -> f:3,3",
    "$0[i, j] = where(j <= i, {n:N,D}[i, 0], 1) + {n:D}[j] -> n:N,D",
    "$0[h, ...] = softmax({F:2,N,D}[h, ...]) -> F:2,N,D",
    *(
        f"$0[i] = {name}(j) {{f:N,D}}[i, j] -> {result}:N"
        for name, result in zip((*FOLDS, *PLACES), "fffffii", strict=True)
    ),
    *(f"$0[i] = {name}(j) {{b:N,D}}[i, j] -> b:N" for name in ("any", "all")),
    "$0[i] = -sum(j) (sum(k) {f:N,D,K}[i, j, k] - 1.0) -> f:N",
    "$0 = {n:4,D}\n$0[1] = {n:D}\n$0[2:, 0] = 7 -> n:4,D",
    "$0 = {n:4,D}\n$0[{i:}, j] = {n:D}[j] -> n:4,D",
    "{c=state F:4,D}[{i:}] = {F:D}\n$0 = 2.0 * {c} -> F:4,D",
    "{c=state bf16:N,D} = {c} + {bf16:N,D}\n$0 = {c} -> bf16:N,D",
    "$0 = {F:N,D}\nwhile max(abs($0), axis=1) < 4.0 limit 3 {\n    $0 = 2.0 * $0 + 1.0\n} -> F:N,D",
    "$0, $1 = split({n:N,6}, 2, axis=1) -> n:N,3; n:N,3",
    "$0, $1 = topk({f:N,5}, 2) -> f:N,2; i:N,2",
    "$0, $1 = lstm_cell({f:N,D}, {f:N,2}, {f:N,2}, {f:D,8}, {f:2,8}, {f:8}) -> f:N,2; f:N,2",
)
"""These and the expressions have the same form in Python (see `compiler.frontend.builder`)."""

STRUCTURED = (
    "$0 = {f:N,D}\nfor t in 0:3 {\n    $0 = $0 * 0.5 + {f:N,D}\n} -> f:N,D",
    "$0 = {F:4,D}\nfor t in 1:4:2 while $0 < 3.0 {\n    $0[t] = $0[t] + 1.0\n    $0 = $0 + 1.0\n} -> F:4,D",
    "if 2 > 1 {\n    $0 = {n:N}\n} else if 1 > 2 {\n    $0 = {n:1}\n} else {\n    $0 = {n:2}\n} -> n:N",
    "if 1 > 2 {\n    $0 = {n:1}\n} else {\n    $0 = -{n:N}\n} -> n:N",
    'assert 3 % 2 == 1, "odd"\nassert not false\n$0 = {n:N} -> n:N',
    "fn g#(x: f32[Q], t: f32[Q]) -> (f32[Q], f32[Q]) {\n    return t + x, t\n}\n"
    "$0, $1 = scan(g#, {F:D}, over={F:3,D}) -> F:D; F:3,D",
    "fn h#<T>(x: T[..., Q], by: const = 2) -> T[..., 2 * Q] {\n    return by * concat(x, x, axis=-1)\n} %%"
    "$0 = h#({n:N,3}, by=3) -> n:N,6",
    "dim Q# = 2, R# = 2 * Q#\nassert R# == 4 %% $0 = reshape({n:N,4}, R#, -1) -> n:4,N",
    "semantics zero_annihilates %% $0 = {F:N,D} * {F:N,D} -> F:N,D",
    "$0 = {bf16:N,D} @ {bf16:D,K} prefer on cores(1, 2) at core(0, 0) epoch(0) buffers(2) fidelity(hifi2) -> bf16:N,K",
    "$0 = {f:N,D} @ {f:D,K} prefer resident accumulate(f32) -> f:N,K",
    "$0[i, j] = {n:N,D}[i, j] + 1 prefer stream -> n:N,D",
    "import parts %% $0 = residual({f:N,D}) -> f:N,D",
    "$0 = {F finite:N,D} * 0.0 -> F:N,D",
    "$0 = {weight F finite:N,D} + {weight F:N,1} -> F:N,D",
)

PARTS = "fn residual<T>(x: T[...]) -> T[...] {\n    return x + relu(x)\n}\n"
"""The file that some programs import as `parts`."""
PLAIN = (*EXPRESSIONS, *INDEXED)
FEATURES = (*PLAIN, *STRUCTURED)

_TYPES = {"F": "f32", "i": "i32", "b": "bool"}
_HOLE = re.compile(r"\{(?:(\w)=)?(?:(state|weight) )?(\w+?)( finite)?:([^}]*)\}|\{(\w)\}")
_EXTENTS = (3, 4, 2, 1, 33)
_RESULTS = 3
"""The usual number of results of a program."""


@dataclass(slots=True)
class _Author:
    """A program under construction; `values` are types and extents by name, in the order of the text."""

    random: Random
    heads: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    values: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    pieces: int = 0

    def piece(self, text: str) -> None:
        self.pieces += 1
        text, _, results = text.replace("#", str(self.pieces)).rpartition(" -> ")
        head, _, text = text.rpartition("%%")
        text = text.strip()
        lines = text if "$0" in text else f"$0 = {text}"
        choice = {"f": self.random.choice(("f32", "bf16", "f16")), "n": self.random.choice(("f32", "bf16", "i32"))}
        extents: dict[str, int] = {}
        named: dict[str, str] = {}
        body = _HOLE.sub(lambda hole: self.hole(hole, _TYPES | choice, extents, named), lines)
        for number, result in enumerate(results.split("; ")):
            element, _, axes = result.partition(":")
            name = f"v{self.pieces}_{number}"
            body = body.replace(f"${number}", name)
            self.values[name] = (_TYPES | choice).get(element, element), self.shape(axes, extents)
        self.body.append(body)
        if head.strip() not in self.heads:
            self.heads.append(head.strip())

    def hole(self, hole: re.Match[str], types: dict[str, str], extents: dict[str, int], named: dict[str, str]) -> str:
        label, mode, element, finite, axes, again = hole.groups()
        if again is not None:
            return named[again]
        element = types.get(element, element)
        name = self.value(element, self.shape(axes, extents), mode, finite)
        if label is not None:
            named[label] = name
        return name

    def shape(self, axes: str, extents: dict[str, int]) -> tuple[int, ...]:
        words = axes.split(",") if axes else []
        return tuple(int(w) if w.isdigit() else extents.setdefault(w, self.random.choice(_EXTENTS)) for w in words)

    def value(self, element: str, shape: tuple[int, ...], mode: str | None, finite: str | None) -> str:
        """A value of this type: one that exists, else a new parameter."""
        found = [name for name, type in self.values.items() if type == (element, shape)]
        if found and mode is None and finite is None and self.random.random() < 0.7:
            return self.random.choice(found)
        name = f"x{len(self.parameters)}"
        mode = mode or self.random.choice(("input", "input", "weight"))
        self.parameters.append(f"{name}: {mode} {_written(element, shape)}{finite or ''}")
        if mode != "state":
            self.values[name] = element, shape
        return name

    def text(self, most: int) -> str:
        results = [name for name in self.values if name.startswith("v")][-most:]
        types = [_written(*self.values[name]) for name in results]
        if self.random.random() < 0.5:
            types = [f"r{number}: {type}" for number, type in enumerate(types)]
        lines = "\n".join([*self.body, f"return {', '.join(results)}"]).replace("\n", "\n    ")
        heads = "".join(f"{head}\n" for head in self.heads if head)
        declared = types[0] if len(types) == 1 and ":" not in types[0] else f"({', '.join(types)})"
        return f"{heads}program drawn({', '.join(self.parameters)}) -> {declared} {{\n    {lines}\n}}\n"


def _written(element: str, shape: tuple[int, ...]) -> str:
    return f"{element}[{', '.join(map(str, shape))}]" if shape else element


def program_of(pieces: Sequence[str], random: Random, results: int = _RESULTS) -> str:
    """The text of a program with these pieces, one after the other; it returns the last values, at most `results`."""
    author = _Author(random)
    for piece in pieces:
        author.piece(piece)
    return author.text(results)


def some_program(random: Random, features: Sequence[str] = FEATURES, most: int = 4) -> str:
    """The text of a program with one to `most` of `features`."""
    return program_of([random.choice(features) for _ in range(random.randint(1, most))], random)
