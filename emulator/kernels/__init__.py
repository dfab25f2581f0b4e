"""Tile kernels: native code for the compute instructions, built as LLVM IR and kept on disk.

Every kernel is a function `void(int64 *)`; each module says what its arguments are.
"""
