"""The kernels for CPUs, one library of all `cpu.cpp` here, which setup.py compiles where there is a compiler.

Plain C through ctypes and not an extension of torch: that takes seconds to build instead of forty, and
goes on working when torch is replaced. A library made from other sources than the present ones is not used.
"""

import ctypes
import functools
import logging
from pathlib import Path

import torch

from lm_plugins.ops.cpu_sources import digest

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
MISSING = (
    "the compiled kernels are missing or out of date, and training runs up to two times slower: run "
    "`make setup`, or install lm_plugins anew where there is a C++ compiler (docs/install.md)"
)
OF_TYPE = {torch.float32: "float", torch.float64: "double"}


@functools.cache
def library():
    """The compiled kernels; None, said once, if there are none."""
    for path in FOLDER.glob("_cpu.*"):
        try:
            found = ctypes.CDLL(str(path))
        except OSError:  # of another machine
            continue
        found.kernels_source.restype = ctypes.c_char_p
        if found.kernels_source().decode() == digest():
            return found
    logger.warning(MISSING)
    return None


def serves(*tensors):
    """Whether there are kernels for these tensors together."""
    dtypes = {tensor.dtype for tensor in tensors}
    there = len(dtypes) == 1 and dtypes <= set(OF_TYPE) and all(tensor.is_cpu for tensor in tensors)
    return there and library() is not None


def not_served():
    """Why a kernel that was asked for does not run."""
    return MISSING if library() is None else "the kernels take float32 or float64, all alike, on a CPU"


def call(name, dtype, *arguments):
    """Runs the kernel `name` for `dtype`, on as many threads as torch has; tensors go as addresses."""
    function = getattr(library(), f"{name}_{OF_TYPE[dtype]}")
    function(ctypes.c_int(torch.get_num_threads()), *map(argument, arguments))


def argument(value):
    if isinstance(value, ctypes.Structure):
        return ctypes.byref(value)
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_void_p(address(value))


def address(tensor):
    return None if tensor is None else tensor.data_ptr()
