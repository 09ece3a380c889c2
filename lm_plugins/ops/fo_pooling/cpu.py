"""The kernels of cpu.cpp, on tensors; :class:`~lm_plugins.ops.fo_pooling.autograd.Kernels` documents them."""

import torch
from torch import Tensor

from lm_plugins.ops.cpu_kernels import BFLOAT16, BOOL, DOUBLE, INT, REAL, Kernel

INPUTS = (BOOL, BOOL, DOUBLE, INT, INT, INT, INT)  # see `inputs`, after the gates
FORWARD = Kernel("fo_pooling_forward", REAL, *INPUTS, REAL, REAL, REAL)
BACKWARD = Kernel("fo_pooling_backward", REAL, *INPUTS, REAL, REAL, REAL, REAL, REAL)
FORWARD_BF16 = Kernel("fo_pooling_forward_of_bfloat16", BFLOAT16, *INPUTS, REAL, REAL, REAL)
BACKWARD_BF16 = Kernel("fo_pooling_backward_of_bfloat16", BFLOAT16, *INPUTS, REAL, REAL, REAL, REAL, BFLOAT16)


def inputs(
    gates: Tensor, mask: Tensor | None, factor: float, reset: Tensor | None, c: Tensor | None
) -> tuple:
    """Return the arguments that both kernels have in common."""
    steps, streams, width = gates.shape
    stride = 0 if c is None else c.stride(1)
    return gates, mask, reset, factor, steps, streams, width // 3, stride


def prepare(gates: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
    """Convert both to the dtype of the recurrence, except gates in bfloat16, which have their own kernels."""
    dtype = torch.promote_types(c0.dtype, torch.float32)
    if gates.dtype == torch.bfloat16 and dtype == torch.float32:
        return gates, c0.to(dtype)
    return gates.to(dtype), c0.to(dtype)


def forward(
    gates: Tensor,
    c0: Tensor,
    mask: Tensor | None,
    factor: float,
    reset: Tensor | None,
    save: bool,
    overwrite: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    units, c_last = c0.size(1), c0.clone()
    h, c = c0.new_empty(*gates.shape[:2], units), None
    if save:
        fits = overwrite and gates.dtype == c0.dtype
        c = gates.detach()[..., :units] if fits else torch.empty_like(h)
    kernel = FORWARD_BF16 if gates.dtype == torch.bfloat16 else FORWARD
    kernel(c0.dtype, *inputs(gates, mask, factor, reset, c), c_last, c, h)
    return h, c_last if c is None else c[-1].clone(), c


def backward(
    gates: Tensor,
    c0: Tensor,
    mask: Tensor | None,
    factor: float,
    reset: Tensor | None,
    c: Tensor,
    grad_h: Tensor,
    grad_c: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    carry = grad_c.clone()
    arguments = (*inputs(gates, mask, factor, reset, c), c0, c, grad_h, carry, grad_gates)
    kernel = BACKWARD_BF16 if gates.dtype == torch.bfloat16 else BACKWARD
    kernel(c0.dtype, *arguments)
    return carry
