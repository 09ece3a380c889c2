"""ln sum exp of the logits in chunks, compared with the definition."""

import pytest
import torch

from lm_plugins.ops.linear_logsumexp import linear_logsumexp
from tests.helpers.kernels import needs_compiler

each_impl = pytest.mark.parametrize("impl", ["torch", pytest.param("cpu", marks=needs_compiler)])
ROWS, FEATURES, WORDS = 7, 5, 11


def inputs(rows=ROWS):
    shapes = (rows, FEATURES), (WORDS, FEATURES), (WORDS,)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@each_impl
@pytest.mark.parametrize("rows", [ROWS, 0])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("chunk", [1, WORDS, 2 * WORDS + 1, 3 * WORDS, 7 * WORDS, None])
def test_equals_the_definition_with_gradients(impl, rows, with_bias, chunk):
    features, weight, bias = inputs(rows)
    bias, upstream = bias if with_bias else None, torch.randn(rows).double()
    leaves = [leaf for leaf in (features, weight, bias) if leaf is not None]
    log_z = linear_logsumexp(features, weight, bias, impl=impl, chunk=chunk)
    expected = linear_logsumexp(features, weight, bias, impl="naive")
    torch.testing.assert_close(log_z, expected)
    gradients = torch.autograd.grad((log_z * upstream).sum(), leaves)
    torch.testing.assert_close(gradients, torch.autograd.grad((expected * upstream).sum(), leaves))


@each_impl
def test_only_the_gradients_that_are_asked_for(impl):
    features, weight, bias = inputs()
    total = linear_logsumexp(features, weight.detach(), bias.detach(), impl=impl).sum()
    expected = linear_logsumexp(features, weight, bias, impl="naive").sum()
    torch.testing.assert_close(torch.autograd.grad(total, features), torch.autograd.grad(expected, features))


@each_impl
def test_gradcheck(impl):
    def op(*leaves):
        return linear_logsumexp(*leaves, impl=impl, chunk=3 * WORDS)

    assert torch.autograd.gradcheck(op, inputs())


def test_autocast_gives_float32():
    features, weight, bias = (leaf.detach().float().requires_grad_() for leaf in inputs())
    expected = linear_logsumexp(features, weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        log_z = linear_logsumexp(features, weight, bias)
    assert log_z.dtype == torch.float32
    torch.testing.assert_close(log_z, expected)
    torch.testing.assert_close(
        torch.autograd.grad(log_z.sum(), weight),
        torch.autograd.grad(expected.sum(), weight),
        rtol=0.05,
        atol=0.05,
    )
