"""Dropout by the compiled kernel, as one autograd node that stores its seed in place of its mask."""

import torch
from torch import Tensor

from lm_plugins.ops.cpu_kernels import DOUBLE, INT, REAL, Kernel
from lm_plugins.ops.dropout.naive import threshold
from lm_plugins.ops.dropout.philox import draw_seed

KERNEL = Kernel("dropout", REAL, INT, INT, INT, DOUBLE, REAL)


class Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.mask = p, seed
        return apply_mask(x, p, seed)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        return apply_mask(grad, *ctx.mask), None, None


def apply_mask(x: Tensor, p: float, seed: int) -> Tensor:
    """Return x m / (1 - p), with the mask m that belongs to `seed`."""
    x = x.contiguous()
    y = torch.empty_like(x)
    KERNEL(x.dtype, x, x.numel(), seed, threshold(p), 1 / (1 - p), y)
    return y


def dropout(x: Tensor, p: float) -> Tensor:
    """Return x m / (1 - p), with a new mask m."""
    return Dropout.apply(x, p, draw_seed())
