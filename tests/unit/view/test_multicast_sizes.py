"""Multicasts whose number of pages varies: what is counted from the image is what the emulator counted."""

import numpy as np

from compiler.ir import GraphBuilder, TensorType
from compiler.numerics import DType
from compiler.numerics.masks import TileMask
from compiler.pipeline import CompileOptions, compile_graph
from compiler.program.instructions import Multicast, Variable
from compiler.prune import Mode, PruneOptions
from compiler.target.load import load_machine
from emulator import run
from runtime.view.routes import Link, link_table
from runtime.view.traffic import traffic


def test_flits_of_every_link_are_those_of_the_run() -> None:
    """Shared weights of which cores need some tiles: the last piece of a load is smaller than the others."""
    builder = GraphBuilder("product")
    x = builder.input("x", TensorType((256, 256), DType.BF16))
    w = builder.weight("w", TensorType((256, 2048), DType.BF16))
    builder.output("y", builder.contract("mk", "kn", "mn", x, w))
    live = np.random.default_rng(0).random((8, 64)) < 0.4
    options = PruneOptions(Mode.STATIC, assume_finite=True, zeros={"w": TileMask.of(~live)})
    image = compile_graph(builder.build(), load_machine("mesh_4x4"), CompileOptions(prune=options)).image
    codes = [code for program in image.epochs[0].programs for code in (program.read, program.write)]
    sent = [at.pages for code in codes for at in code.instructions if isinstance(at, Multicast)]
    assert any(isinstance(pages, Variable) for pages in sent)
    weights = np.kron(live, np.ones((32, 32), bool)).astype(DType.BF16.numpy)
    (epoch,) = run(image, {"x": np.ones((256, 256), DType.BF16.numpy), "w": weights}).profile.epochs
    links = link_table(image)
    (counted,) = traffic(image, links)
    carried = {Link(link.noc, link.src, link.dst): link.flits for link in epoch.links}
    assert {link: int(n) for link, n in zip(links.links, counted.link_flits, strict=True) if n} == carried
