"""negation: -x, with a gradient that stays one number where the upstream gradient is one number.

The gradient of a sum is a number that is expanded to the shape of the terms, without memory for each of them.
:func:`lm_plugins.ops.linear_cross_entropy.linear_cross_entropy` then knows, without asking a GPU, that all
losses have the same upstream gradient.
"""

import torch
from torch import Tensor


def is_one_number(x: Tensor) -> bool:
    """Return whether all elements of `x` share one memory location."""
    return x.numel() > 0 and all(
        not stride or size == 1 for size, stride in zip(x.shape, x.stride(), strict=True)
    )


class Negation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return -x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        if is_one_number(grad):
            return (-grad[(0,) * grad.dim()]).expand(grad.shape)
        return -grad


def negation(x: Tensor) -> Tensor:
    """Return -x: [...] -> [...]."""
    return Negation.apply(x)
