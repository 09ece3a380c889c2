"""exchange: rows of every process sent to every other one, with gradients."""

import torch
import torch.distributed as dist


class Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, sent, received):
        ctx.sizes = sent, received
        out = rows.new_empty(sum(received), *rows.shape[1:])
        dist.all_to_all_single(out, rows.contiguous(), received, sent)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        sent, received = ctx.sizes
        return Exchange.forward(ctx, grad, received, sent), None, None


def exchange(rows, sent, received):
    """All processes call this together (torch's all_to_all_single).

    Args:
        rows: [sum(sent), ...], in order of the process that they go to
        sent, received: number of rows to and from each process

    Returns:
        [sum(received), ...], in order of the process that they came from. The gradient goes back the
        same way: backward passes are together too.
    """
    return Exchange.apply(rows, sent, received) if len(sent) > 1 else rows
