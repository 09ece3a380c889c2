"""exchange: send rows from every process to every other process, with gradients."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        ctx.sizes = sent, received
        out = rows.new_empty(sum(received), *rows.shape[1:])
        dist.all_to_all_single(out, rows.contiguous(), received, sent)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        sent, received = ctx.sizes
        return Exchange.forward(ctx, grad, received, sent), None, None


def exchange(
    rows: Tensor,  # [sum(sent), ...]
    sent: list[int],
    received: list[int],
) -> Tensor:
    """Return the rows that all processes send to this one (torch's all_to_all_single).

    All processes must call this together, and run their backward passes together: the gradient is sent
    back the same way.

    Args:
        rows: sorted by the process that they are sent to
        sent: number of rows for each process
        received: number of rows from each process

    Returns:
        [sum(received), ...], sorted by the process that they came from
    """
    return Exchange.apply(rows, sent, received) if len(sent) > 1 else rows
