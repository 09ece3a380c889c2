"""The compiled CPU kernels: one shared library of all `cpu.cpp` files, called through ctypes.

Plain C functions build in seconds, where an extension of torch takes forty, and they keep working when torch
is replaced. A library that was built from sources other than those in this folder is not used.
"""

import ctypes
import functools
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lm_plugins.ops.cpu_sources import digest

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
MISSING = (
    "the compiled kernels are missing or out of date, and training takes up to twice as long: run "
    "`make setup`, or reinstall lm_plugins on a machine with a C++ compiler (docs/install.md)"
)
C_TYPES = {torch.float32: "float", torch.float64: "double"}  # the types that the kernels are compiled for


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library, or None with one warning if it is missing or out of date."""
    for path in FOLDER.glob("_cpu.*"):
        try:
            loaded = ctypes.CDLL(str(path))
        except OSError:  # built for another machine
            continue
        loaded.kernels_source.argtypes, loaded.kernels_source.restype = [], ctypes.c_char_p
        if loaded.kernels_source().decode() == digest():
            return loaded
    logger.warning(MISSING)
    return None


def why_unsupported(*tensors: Tensor) -> str | None:
    """Return why no kernel takes these tensors together, or None if one does."""
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) != 1 or not dtypes <= C_TYPES.keys() or not all(tensor.is_cpu for tensor in tensors):
        return "the compiled kernels take tensors of one dtype, float32 or float64, on a CPU"
    return MISSING if library() is None else None


class Pointer:
    """An argtype of ctypes that passes the address of a CPU tensor of one dtype, or null for None."""

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype

    def from_param(self, tensor: Tensor | None) -> ctypes.c_void_p:
        if tensor is None:
            return ctypes.c_void_p(None)
        if not tensor.is_cpu or tensor.dtype != self.dtype:
            raise TypeError(f"a kernel expects {self.dtype} on a CPU, not {tensor.dtype} on {tensor.device}")
        return ctypes.c_void_p(tensor.data_ptr())


# The types of arguments. A `Real*` is a float* in the kernel for float32 and a double* in that for float64.
REAL, BOOL, INT64, BFLOAT16 = "Real*", *(Pointer(kind) for kind in (torch.bool, torch.int64, torch.bfloat16))
INT, DOUBLE = ctypes.c_int64, ctypes.c_double


class Kernel:
    """A C function `name_float` and its twin `name_double`, which return nothing.

    Their first argument is the number of threads. It is torch's, and is not passed by the caller.

    Args:
        name: name of the function, without its suffix
        argtypes: types of the arguments after the first: REAL, BOOL, INT64, INT or DOUBLE
    """

    def __init__(self, name: str, *argtypes):
        self.name, self.argtypes = name, argtypes

    def __call__(self, dtype: torch.dtype, *arguments) -> None:
        bound(self.name, self.argtypes, dtype)(torch.get_num_threads(), *arguments)


@functools.cache
def bound(name: str, argtypes: tuple, dtype: torch.dtype) -> Callable[..., None]:
    """Return the function of the library for `dtype`, with its types declared."""
    function = getattr(library(), f"{name}_{C_TYPES[dtype]}")
    function.argtypes = [ctypes.c_int, *(Pointer(dtype) if kind == REAL else kind for kind in argtypes)]
    function.restype = None
    return function
