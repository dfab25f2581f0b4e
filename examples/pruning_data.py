"""Make the data of the examples of pruning; needs NetworkX, which nothing else here does.

Writes beside itself the arrays that `moe`, `padding`, `relu_mlp`, `block_sparse`, `early_exit`, `karate` and `voxels`
read. The seeds are fixed; the files in the repository are what it wrote.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import ml_dtypes
import networkx
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Floats = NDArray[np.float32]

HERE = Path(__file__).parent
TILE = 32
SIDES = ("Mr. Hi", "Officer")
"""Whom a member of the karate club followed: a node attribute of `networkx.karate_club_graph`."""


def main() -> None:
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)


def write(folder: Path) -> None:
    """Write every file."""
    _write_moe(folder)
    np.savez_compressed(folder / "padding.npz", lengths=np.array([128, 40, 17, 64], np.int32))
    _write_relu_mlp(folder)
    generator = np.random.default_rng(4)
    weights = {name: magnitude_pruned(generator, 256, 256, keep=0.1) for name in ("w1", "w2")}
    _save(folder / "block_sparse.safetensors", weights)
    _write_early_exit(folder)
    _save(folder / "karate.safetensors", karate())
    _save(folder / "communities.safetensors", communities(8, 32))
    _write_voxels(folder)


def _save(path: Path, arrays: Mapping[str, Floats]) -> None:
    save_file({name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}, path)


def scaled(generator: np.random.Generator, *shape: int) -> Floats:
    """Normal numbers that keep the scale of what is multiplied by them."""
    return np.asarray(generator.standard_normal(shape) / np.sqrt(shape[-2]), np.float32)


# ---- Mixture of experts


def routed(
    generator: np.random.Generator, tokens: int, width: int, experts: int, *, sort: bool
) -> tuple[Floats, Floats]:
    """Tokens and a router under which every tile of 32 tokens wants the same two experts, all of them equally often.

    The router looks at one element per expert; the rest of a token is noise. Without `sort` the tokens are shuffled.
    """
    x = 0.5 * generator.standard_normal((tokens, width), np.float32)
    first = np.arange(tokens) // TILE % experts
    x[:, :experts] = 0
    x[np.arange(tokens), first] = 4
    x[np.arange(tokens), (first + 1) % experts] = 3
    router = np.eye(width, experts, dtype=np.float32)
    return (x if sort else generator.permutation(x)), router


def _write_moe(folder: Path) -> None:
    generator = np.random.default_rng(1)
    x, router = routed(generator, 256, 64, 8, sort=True)
    np.savez_compressed(folder / "moe.npz", x=x.astype(ml_dtypes.bfloat16).view("V2"))
    weights = {"router": router, "w1": scaled(generator, 8, 64, 64), "w2": scaled(generator, 8, 64, 64)}
    _save(folder / "moe.safetensors", weights)


# ---- Activations and weights


def topics(
    generator: np.random.Generator, rows: int, width: int, hidden: int, share: float
) -> tuple[Floats, Floats, Floats]:
    """Rows of one topic per tile, a first layer and a bias that leave a `share` of the tiles after `relu` zero.

    A topic is one of the first elements of a row; for each tile of hidden elements it is wanted or it is not, and what
    is not wanted is pushed far below zero.
    """
    count = rows // TILE
    assert count < width
    x = 0.25 * generator.standard_normal((rows, width), np.float32)
    x[:, :count] = np.repeat(np.eye(count, dtype=np.float32), TILE, axis=0)
    w = scaled(generator, width, hidden)
    wanted = np.argsort(generator.random((count, hidden // TILE)), axis=1) >= round(share * (hidden // TILE))
    w[:count] = np.where(np.repeat(wanted, TILE, axis=1), np.float32(0.5), np.float32(-16))
    return x, w, np.zeros(hidden, np.float32)


def _write_relu_mlp(folder: Path) -> None:
    generator = np.random.default_rng(3)
    x, w1, b1 = topics(generator, 256, 64, 256, share=0.5)
    np.savez_compressed(folder / "relu_mlp.npz", x=x.astype(ml_dtypes.bfloat16).view("V2"))
    _save(folder / "relu_mlp.safetensors", {"w1": w1, "b1": b1, "w2": scaled(generator, 256, 64)})


def magnitude_pruned(generator: np.random.Generator, rows: int, columns: int, keep: float) -> Floats:
    """Weights of which only the tiles with the greatest norms are kept, a share `keep` of them."""
    w = scaled(generator, rows, columns)
    tiles = w.reshape(rows // TILE, TILE, columns // TILE, TILE)
    norms = np.sqrt((tiles * tiles).sum(axis=(1, 3)))
    kept = norms >= np.sort(norms, axis=None)[-max(1, round(keep * norms.size))]
    return np.asarray(tiles * kept[:, None, :, None], np.float32).reshape(rows, columns)


def _write_early_exit(folder: Path) -> None:
    """Tokens of ever greater difficulty; each layer makes them easier, so that some tiles are done after each."""
    generator = np.random.default_rng(5)
    tokens, width, hidden, classes, layers = 256, 64, 128, 32, 4
    head = np.zeros((width, classes), np.float32)
    head[:classes] = 8 * np.eye(classes)
    sharpness = np.repeat(np.array([1.0, 1.0, 1.0, 0.65, 0.65, 0.4, 0.25, 0.1], np.float32), TILE)
    x = 0.02 * generator.standard_normal((tokens, width), np.float32)
    x[np.arange(tokens), generator.integers(0, classes, tokens)] += sharpness
    w1 = 0.02 * generator.standard_normal((layers, width, hidden), np.float32)
    w1[:, :, :width] += np.eye(width, dtype=np.float32)
    w2 = 0.02 * generator.standard_normal((layers, hidden, width), np.float32)
    w2[:, :width] += 0.4 * np.eye(width, dtype=np.float32)
    np.savez_compressed(folder / "early_exit.npz", x=x.astype(ml_dtypes.bfloat16).view("V2"))
    _save(folder / "early_exit.safetensors", {"w1": w1, "w2": w2, "head": head})


# ---- Graphs


def normalized(adjacency: Floats) -> Floats:
    """Add a loop to every node and divide by the square roots of the degrees on both sides."""
    looped = adjacency + np.eye(len(adjacency), dtype=np.float32)
    scale = 1 / np.sqrt(looped.sum(axis=0))
    return np.asarray(looped * scale * scale[:, None], np.float32)


def adjacency(nodes: int, edges: Iterable[tuple[int, int]]) -> Floats:
    """Ones where there is an edge, in both directions."""
    matrix = np.zeros((nodes, nodes), np.float32)
    for a, b in edges:
        matrix[a, b] = matrix[b, a] = 1
    return matrix


def karate() -> dict[str, Floats]:
    """The weights of `karate.mesh`, trained on the sides of the two leaders alone (Kipf and Welling, 2017)."""
    graph = networkx.karate_club_graph()
    near = normalized(adjacency(len(graph), graph.edges))
    x = np.eye(len(near), dtype=np.float32)
    generator = np.random.default_rng(6)
    w1, w2 = scaled(generator, len(near), 16), scaled(generator, 16, 2)
    known, wanted = np.array([0, 33]), np.eye(2, dtype=np.float32)
    for _ in range(300):
        inner = near @ x @ w1
        hidden = np.maximum(inner, 0)
        logits = near @ hidden @ w2
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        slope = np.zeros_like(logits)
        slope[known] = chance[known] - wanted
        back = near.T @ slope
        step1, step2 = (near @ x).T @ (back @ w2.T * (inner > 0)), hidden.T @ back
        w1, w2 = np.asarray(w1 - 0.5 * step1, np.float32), np.asarray(w2 - 0.5 * step2, np.float32)
    return {"x": x, "near": near, "w1": w1, "w2": w2}


def sides() -> NDArray[np.int64]:
    """Which of `SIDES` each member of the karate club took."""
    clubs = networkx.karate_club_graph().nodes(data="club")
    return np.array([SIDES.index(club) for _, club in clubs])


def communities(count: int, size: int) -> dict[str, Floats]:
    """A graph of `count` communities of `size` nodes, dense inside, with few edges between neighbors on a ring."""
    inside, between = 0.3, 0.01
    ring = np.eye(count) * inside + (np.roll(np.eye(count), 1, axis=1) + np.roll(np.eye(count), -1, axis=1)) * between
    graph = networkx.stochastic_block_model([size] * count, ring.tolist(), seed=8)
    near = normalized(adjacency(len(graph), graph.edges))
    generator = np.random.default_rng(8)
    x = generator.standard_normal((len(near), TILE), np.float32)
    return {"x": x, "near": near, "w1": scaled(generator, TILE, 16), "w2": scaled(generator, 16, 2)}


# ---- Voxels


def voxels(
    generator: np.random.Generator, shape: tuple[int, int, int], channels: int, share: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Features in a `share` of the runs of 32 voxels along the last axis, and which voxels are occupied."""
    depth, height, width = shape
    runs = (depth, height, width // TILE)
    chosen = np.zeros(np.prod(runs), np.bool_)
    chosen[generator.permutation(len(chosen))[: max(1, round(share * len(chosen)))]] = True
    occupied = np.repeat(chosen.reshape(runs), TILE, axis=2) & (generator.random(shape) < 0.5)
    features = np.abs(generator.standard_normal((*shape, channels), np.float32)) * occupied[..., None]
    return features, occupied[..., None]


def kernel(generator: np.random.Generator, channels: int) -> Floats:
    """A kernel of 3 x 3 x 3 in the layout of `voxels.mesh`; it keeps the scale of what it is applied to."""
    return np.asarray(generator.standard_normal((3, channels, 9 * channels)) / np.sqrt(27 * channels), np.float32)


def _write_voxels(folder: Path) -> None:
    generator = np.random.default_rng(7)
    grid, occupied = voxels(generator, (6, 6, 64), 32, share=0.1)
    rounded = grid.astype(ml_dtypes.bfloat16)
    np.savez_compressed(folder / "voxels.npz", grid=rounded.view("V2"), occupied=occupied)
    kernels = {name: kernel(generator, 32).astype(ml_dtypes.bfloat16) for name in ("w1", "w2")}
    save_file({"grid": rounded, "occupied": occupied} | kernels, folder / "voxels.safetensors")


if __name__ == "__main__":
    main()
