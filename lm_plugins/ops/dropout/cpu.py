"""Dropout with the compiled kernel, as one autograd node that stores its seed in place of its mask."""

import torch
from torch import Tensor

from lm_plugins.ops.cpu_kernels import BFLOAT16, DOUBLE, INT, REAL, Kernel
from lm_plugins.ops.dropout.naive import threshold
from lm_plugins.ops.dropout.philox import draw_seed

BF16 = torch.bfloat16
ARGUMENTS = (INT, INT, INT, DOUBLE)
KERNEL = Kernel("dropout", REAL, *ARGUMENTS, REAL)
TO_BFLOAT16 = Kernel("dropout_to_bfloat16", REAL, *ARGUMENTS, BFLOAT16)
OF_BFLOAT16 = Kernel("dropout_of_bfloat16", BFLOAT16, *ARGUMENTS, REAL)


class Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, p: float, seed: int, dtype: torch.dtype) -> Tensor:
        ctx.mask = p, seed, x.dtype
        return apply_mask(x, p, seed, dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        return apply_mask(grad, *ctx.mask), None, None, None


def apply_mask(x: Tensor, p: float, seed: int, dtype: torch.dtype) -> Tensor:
    """Return x m / (1 - p) in `dtype`, with the mask m that belongs to `seed`.

    Both dtypes are the same, or one is bfloat16 and the other float32.
    """
    x = x.contiguous()
    y = torch.empty_like(x, dtype=dtype)
    kernel = KERNEL if x.dtype == dtype else TO_BFLOAT16 if dtype == BF16 else OF_BFLOAT16
    kernel(dtype if x.dtype == BF16 else x.dtype, x, x.numel(), seed, threshold(p), 1 / (1 - p), y)
    return y


def dropout(x: Tensor, p: float, dtype: torch.dtype) -> Tensor:
    """Return x m / (1 - p) in `dtype`, with a new mask m."""
    if dtype != x.dtype and (x.dtype, dtype) != (torch.float32, BF16):
        return Dropout.apply(x, p, draw_seed(), x.dtype).to(dtype)
    return Dropout.apply(x, p, draw_seed(), dtype)
