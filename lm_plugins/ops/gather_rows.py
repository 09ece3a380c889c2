"""gather_rows: rows of a large table, with a gradient that holds those rows alone if asked for."""

import torch


class SparseGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table, index):
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table[index]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        rows = grad.reshape(-1, *ctx.shape[1:])
        return torch.sparse_coo_tensor(index.reshape(1, -1), rows, ctx.shape, check_invariants=False), None


def gather_rows(table, index, sparse=False):
    """``table[index]``: table [V, ...], index [...] -> [..., ...].

    With `sparse` the gradient is an uncoalesced COO tensor of the looked-up rows: its cost does not
    depend on V. It suits optimizers that take sparse gradients.
    """
    return SparseGather.apply(table, index) if sparse else table[index]
