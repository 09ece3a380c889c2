"""Rows of a table, with a dense or a sparse gradient."""

import pytest
import torch

from lm_plugins.ops.gather_rows import gather_rows


@pytest.mark.parametrize("shape", [(7, 3), (7,)], ids=["table", "vector"])
@pytest.mark.parametrize("index", [torch.tensor([2, 2, 5]), torch.tensor([[0, 6], [6, 6]]), torch.tensor(3)])
def test_the_sparse_gradient_is_the_dense_one(shape, index):
    table = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(index.shape + shape[1:]).double()
    result, expected = gather_rows(table, index, sparse=True), gather_rows(table, index)
    assert torch.equal(result, expected)
    sparse, dense = (torch.autograd.grad((x * weights).sum(), table)[0] for x in (result, expected))
    assert sparse.is_sparse and not dense.is_sparse
    assert sparse._nnz() == index.numel()
    torch.testing.assert_close(sparse.to_dense(), dense)
