"""Clip gradients by a norm that is copied to the host once per update.

fairseq's trainer checks twice whether the norm is finite, compares it with the limit and averages it. On a
GPU each check makes the host wait, and each result takes kernels. An optimizer that returns the norm on the
CPU needs only one wait for all of them, and clips by a number.
"""

from collections.abc import Callable, Sequence
from typing import Optional

import torch
from fairseq.optim import FairseqOptimizer
from torch import Tensor
from torch.nn import Parameter


class HostNorm(FairseqOptimizer):
    """A fairseq optimizer of dense gradients that computes their norm in few kernels."""

    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Optional[Callable] = None) -> Tensor:
        """Scale all gradients to a norm of at most `max_norm`, if that is positive.

        Returns:
            The norm before clipping, on the CPU.
        """
        return clip_to_norm([p for p in self.params if p.grad is not None], max_norm, aggregate_norm_fn)


@torch.no_grad()
def clip_to_norm(
    params: Sequence[Parameter],
    max_norm: float,
    aggregate_norm_fn: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tensor:
    """Multiply all gradients by max_norm / (norm + 1e-6), if that is below 1 and `max_norm` is positive.

    Args:
        params: parameters with dense gradients
        aggregate_norm_fn: computes the norm over all processes from that of this one

    Returns:
        The 2-norm of all gradients together before clipping, in float32, on the CPU.
    """
    grads = [p.grad.detach() for p in params]
    norms = torch._foreach_norm(grads, 2, dtype=torch.float32) if grads else [torch.zeros(())]
    norm = torch.norm(torch.stack(norms)) if len(norms) > 1 else norms[0]
    if aggregate_norm_fn is not None:
        norm = aggregate_norm_fn(norm)
    norm = to_host(norm)
    if max_norm > 0 and grads:
        torch._foreach_mul_(grads, clip_factor(norm, max_norm))
    return norm


def to_host(norm: Tensor) -> Tensor:
    """Copy `norm` to the CPU, which makes the host wait once for a GPU."""
    return norm.cpu()


def clip_factor(norm: Tensor, max_norm: float) -> float:
    """Return min(1, max_norm / (norm + 1e-6)) for a norm on the CPU."""
    return (max_norm / (norm + 1e-6)).clamp(max=1).item()
