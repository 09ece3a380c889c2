"""The kernels of cpu.cpp, on tensors."""

import ctypes

import torch

from lm_plugins.ops.cpu_kernels import address, call


class Inputs(ctypes.Structure):
    """Inputs of cpu.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("gates", "mask", "reset")),
        ("factor", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("steps", "streams", "units")),
    ]


def inputs(gates, mask, factor, reset):
    steps, streams, width = gates.shape
    return Inputs(address(gates), address(mask), address(reset), factor, steps, streams, width // 3)


def prepare(gates, c0):
    """What the kernels take: float32 or float64."""
    dtype = torch.promote_types(c0.dtype, torch.float32)
    return gates.to(dtype), c0.to(dtype)


def forward(gates, c0, mask, factor, reset, keep):
    """h, c_T, and c of all steps or None."""
    h = gates.new_empty(*gates.shape[:2], c0.size(1))
    c = torch.empty_like(h) if keep else None
    last = c0.clone()
    call("fo_pooling_forward", gates.dtype, inputs(gates, mask, factor, reset), last, c, h)
    return (h, c[-1].clone(), c) if keep else (h, last, None)


def backward(gates, c0, mask, factor, reset, c, grad_h, grad_last, grad_gates):
    """Writes the gradient of the gates, which may lie where they do, and returns that of c0."""
    carry, given = grad_last.clone(), inputs(gates, mask, factor, reset)
    call("fo_pooling_backward", gates.dtype, given, c0, c, grad_h, carry, grad_gates)
    return carry
