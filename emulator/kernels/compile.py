"""From IR to native code, through a cache of object files.

An object file is named after everything that it depends on: the IR, the versions of llvmlite and LLVM, the processor
and its features. It is written to a temporary file and renamed, so that readers see all of it or nothing.
"""

import os
import tempfile
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding as llvm
from llvmlite import ir

from emulator.kernels.maps import emit_map
from emulator.kernels.requests import (
    MapKernel,
    MatmulKernel,
    PackKernel,
    ReduceKernel,
    Request,
    ScanKernel,
    UnpackKernel,
)
from emulator.kernels.scan import emit_scan
from emulator.kernels.tiles import emit_matmul, emit_pack, emit_reduce, emit_unpack

WIDE_VECTORS = "avx512f"
ENTRY = "kernel"


def build(request: Request, block: int) -> str:
    """The IR of one kernel, a function called `kernel`."""
    module = ir.Module(name="kernel")
    match request:
        case MapKernel():
            emit_map(module, ENTRY, request)
        case MatmulKernel():
            emit_matmul(module, ENTRY, request, block)
        case UnpackKernel():
            emit_unpack(module, ENTRY, request)
        case PackKernel():
            emit_pack(module, ENTRY, request)
        case ReduceKernel():
            emit_reduce(module, ENTRY, request)
        case ScanKernel():
            emit_scan(module, ENTRY, request)
    return str(module)


class Compiler:
    """Compiles kernels and keeps their code alive; `folder` holds object files from earlier runs."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._addresses: dict[Request, int] = {}
        self._loaded: list[Any] = []

    def addresses(self, requests: Iterable[Request]) -> list[int]:
        """Native addresses, in the order asked for."""
        return [self.address(request) for request in requests]

    def address(self, request: Request) -> int:
        if request not in self._addresses:
            text = build(request, self._row_block)
            self._addresses[request] = self._load(self._object(text))
        return self._addresses[request]

    @cached_property
    def _features(self) -> str:
        return str(llvm.get_host_cpu_features().flatten())

    @property
    def _row_block(self) -> int:
        """Rows of a product that are kept in vector registers at one time, two vectors of 16 lanes each."""
        return 8 if f"+{WIDE_VECTORS}" in self._features.split(",") else 2

    @cached_property
    def _target(self) -> Any:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        return llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=self._features,
            opt=3,
            reloc="default",
            codemodel="jitdefault",
            jit=True,
        )

    @cached_property
    def _linker(self) -> Any:
        return llvm.create_lljit_compiler(self._target)

    @cached_property
    def _stamp(self) -> str:
        host = (llvm.get_host_cpu_name(), self._features)
        return repr((llvmlite.__version__, llvm.llvm_version_info, *host))

    def _object(self, text: str) -> bytes:
        name = sha256(f"{self._stamp}\n{text}".encode()).hexdigest()
        path = self.folder / f"{name}.o" if self.folder else None
        if path is not None and path.is_file():
            return path.read_bytes()
        code = self._compile(text)
        if path is not None:
            _write_whole(path, code)
        return code

    def _compile(self, text: str) -> bytes:
        module = llvm.parse_assembly(text)
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        builder = llvm.create_pass_builder(self._target, options)
        builder.getModulePassManager().run(module, builder)
        return bytes(self._target.emit_object(module))

    def _load(self, code: bytes) -> int:
        library = f"kernel{len(self._loaded)}"
        linked = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(ENTRY)
        tracker = linked.link(self._linker, library)
        self._loaded.append(tracker)
        return int(tracker[ENTRY])


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".kernel-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.replace(temporary, path)
