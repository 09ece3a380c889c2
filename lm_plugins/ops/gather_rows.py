"""gather_rows: rows of a large table, with a gradient that may be sparse."""

import torch
from torch import Tensor


class SparseGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table[index]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        (index,) = ctx.saved_tensors
        rows = grad.reshape(-1, *ctx.shape[1:])
        return torch.sparse_coo_tensor(index.reshape(1, -1), rows, ctx.shape, check_invariants=False), None


def gather_rows(table: Tensor, index: Tensor, sparse: bool = False) -> Tensor:
    """Return ``table[index]``.

    Args:
        table: [V, ...]
        index: [...] ids
        sparse: make the gradient an uncoalesced COO tensor of the rows that were looked up, whose cost does
            not depend on V; the optimizer must support sparse gradients

    Returns:
        [..., ...], the shape of `index` followed by that of a row
    """
    return SparseGather.apply(table, index) if sparse else table[index]
