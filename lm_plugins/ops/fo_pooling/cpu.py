"""The kernels of cpu.cpp, on tensors."""

import ctypes

import torch

from lm_plugins.ops.cpu_kernels import address, call


class Inputs(ctypes.Structure):
    """Inputs of cpu.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("gates", "mask", "reset")),
        ("factor", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("steps", "streams", "units", "stride")),
    ]


def inputs(gates, mask, factor, reset, c):
    steps, streams, width = gates.shape
    stride = 0 if c is None else c.stride(1)
    return Inputs(address(gates), address(mask), address(reset), factor, steps, streams, width // 3, stride)


def prepare(gates, c0):
    """What the kernels take: float32 or float64."""
    dtype = torch.promote_types(c0.dtype, torch.float32)
    return gates.to(dtype), c0.to(dtype)


def forward(gates, c0, mask, factor, reset, keep, overwrite):
    """h, c_T, and c of all steps or None; with `overwrite` that lies where z did."""
    units, last = c0.size(1), c0.clone()
    h, c = gates.new_empty(*gates.shape[:2], units), None
    if keep:
        c = gates.detach()[..., :units] if overwrite else torch.empty_like(h)
    call("fo_pooling_forward", gates.dtype, inputs(gates, mask, factor, reset, c), last, c, h)
    return h, last if c is None else c[-1].clone(), c


def backward(gates, c0, mask, factor, reset, c, grad_h, grad_last, grad_gates):
    """Writes the gradient of the gates, which may lie where they do, and returns that of c0."""
    carry, given = grad_last.clone(), inputs(gates, mask, factor, reset, c)
    call("fo_pooling_backward", gates.dtype, given, c0, c, grad_h, carry, grad_gates)
    return carry
