"""Blocks of rows have the gradients of torch's split, without being concatenated."""

from functools import partial

import pytest
import torch

from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.row_blocks import split_rows

SIZES = [2, 3, 4]


def losses(matrix, features, split):
    """Return the losses of a softmax over each block, the last of which is not used."""
    blocks, rows = split(matrix)
    total = []
    for index, block in enumerate(blocks[:2]):
        d_weight = rows and partial(rows.block, index)
        target = torch.arange(len(features)) % len(block)
        total.append(linear_cross_entropy(features, block, None, target, d_weight=d_weight))
    return torch.stack(total), rows


@pytest.mark.parametrize("upstream", ["equal", "different"])
@pytest.mark.parametrize("used_elsewhere", [False, True])
def test_gradients_are_those_of_split(upstream, used_elsewhere):
    matrix = torch.randn(9, 5, dtype=torch.float64, requires_grad=True)
    features = torch.randn(6, 5, dtype=torch.float64)
    weights = torch.ones(2, 6) if upstream == "equal" else torch.rand(2, 6)
    results = []
    for split in (lambda x: split_rows(x, SIZES), lambda x: (x.split(SIZES), None)):
        loss = (losses(matrix, features, split)[0] * weights).sum()
        if used_elsewhere:
            loss = loss + matrix.square().sum()
        loss.backward(retain_graph=True)
        once = matrix.grad.clone()
        loss.backward()
        results.append((once, matrix.grad))
        matrix.grad = None
    torch.testing.assert_close(results[0], results[1])


def test_the_gradient_is_the_memory_into_which_the_op_wrote():
    matrix = torch.randn(9, 5, requires_grad=True)
    loss, rows = losses(matrix, torch.randn(6, 5), lambda x: split_rows(x, SIZES))
    address = rows.block(0).data_ptr()
    loss.sum().backward()
    assert matrix.grad.data_ptr() == address and rows.block(0) is None
    assert matrix.grad[5:].eq(0).all()


def test_without_gradients_it_is_split():
    matrix = torch.randn(9, 5, requires_grad=True)
    with torch.no_grad():
        blocks, _ = split_rows(matrix, SIZES)
    assert [len(block) for block in blocks] == SIZES and torch.equal(torch.cat(blocks), matrix)
