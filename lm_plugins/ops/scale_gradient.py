"""scale_gradient: the identity, with a gradient that is multiplied by a number."""

import torch
from torch import Tensor


class ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad * ctx.factor, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Return `x`, and multiply its gradient by `factor` in the backward pass."""
    return ScaleGradient.apply(x, factor) if factor != 1 else x
