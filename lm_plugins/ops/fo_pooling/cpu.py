"""The kernels of cpu.cpp, which setup.py compiles where there is a compiler.

Plain C through ctypes and not an extension of torch: that takes two seconds to build instead of forty, and
goes on working when torch is replaced. A library made from another cpu.cpp than the present one is not used.
"""

import ctypes
import functools
import hashlib
import logging
from pathlib import Path

import torch

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_suffix(".cpp")
MISSING = (
    "the compiled kernels of the QRNN are missing or out of date, it runs two to three times slower: "
    "build them with pip install --no-deps --no-build-isolation -e . (docs/install.md)"
)


class Inputs(ctypes.Structure):
    """Inputs of cpu.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("gates", "mask", "reset")),
        ("factor", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("steps", "streams", "units")),
    ]


def digest(source=SOURCE):
    return hashlib.sha256(source.read_bytes()).hexdigest()[:16]


@functools.cache
def library():
    """The compiled cpu.cpp; None, said once, if there is none."""
    for path in SOURCE.parent.glob("_cpu.*"):
        try:
            found = ctypes.CDLL(str(path))
        except OSError:  # of another machine
            continue
        found.fo_pooling_source.restype = ctypes.c_char_p
        if found.fo_pooling_source().decode() == digest():
            return found
    logger.warning(MISSING)
    return None


def call(name, gates, mask, factor, reset, *tensors):
    steps, streams, width = gates.shape
    inputs = Inputs(address(gates), address(mask), address(reset), factor, steps, streams, width // 3)
    of_type = "float" if gates.dtype == torch.float32 else "double"
    arguments = (ctypes.c_void_p(address(tensor)) for tensor in tensors)
    function = getattr(library(), f"fo_pooling_{name}_{of_type}")
    function(ctypes.byref(inputs), ctypes.c_int(torch.get_num_threads()), *arguments)


def address(tensor):
    return None if tensor is None else tensor.data_ptr()


def prepare(gates, c0):
    """What the kernels take: float32 or float64."""
    dtype = torch.promote_types(c0.dtype, torch.float32)
    return gates.to(dtype), c0.to(dtype)


def forward(gates, c0, mask, factor, reset, keep):
    """h, c_T, and c of all steps or None."""
    h = gates.new_empty(*gates.shape[:2], c0.size(1))
    c = torch.empty_like(h) if keep else None
    last = c0.clone()
    call("forward", gates, mask, factor, reset, last, c, h)
    return (h, c[-1].clone(), c) if keep else (h, last, None)


def backward(gates, c0, mask, factor, reset, c, grad_h, grad_last):
    """The gradients of the gates and of c0."""
    grad_gates, grad_c0 = torch.empty_like(gates), grad_last.clone()
    call("backward", gates, mask, factor, reset, c0, c, grad_h, grad_c0, grad_gates)
    return grad_gates, grad_c0
