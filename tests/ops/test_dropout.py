"""Dropout by a counter-based generator against its definition, and what a mask must be."""

import pytest
import torch

from lm_plugins.ops.dropout import dropout, naive
from tests.kernels import needs_compiler

each_impl = pytest.mark.parametrize("impl", ["torch", "naive", pytest.param("cpu", marks=needs_compiler)])


def run(x, p, impl, seed=1):
    torch.manual_seed(seed)
    leaf = x.detach().requires_grad_()
    y = dropout(leaf, p, impl=impl)
    return y.detach(), torch.autograd.grad(y, leaf, torch.ones_like(y))[0]


def test_philox_gives_the_published_numbers():
    """The first of Random123's known answers: counter and key are zero."""
    zero = naive.philox(torch.tensor([0]), 0)
    assert [int(word) for word in zero] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_a_product_of_words_has_both_words():
    a, b = 0xD2511F53, 0xFEDCBA98
    low, high = naive._product(a, torch.tensor([b]))
    assert (int(high) << 32) + int(low) == a * b


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (127,), (128,), (129,), (33, 65), (3, 5, 400)])
def test_the_kernel_draws_what_the_definition_draws(shape, dtype):
    x = torch.randn(shape, dtype=dtype)
    for p in (0.1, 0.5, 0.999):
        torch.testing.assert_close(run(x, p, "cpu"), run(x, p, "naive"), rtol=0, atol=0)


@needs_compiler
def test_many_blocks_and_a_large_seed():
    x = torch.ones(300_000)
    torch.testing.assert_close(run(x, 0.3, "cpu", 2**40 + 7), run(x, 0.3, "naive", 2**40 + 7), rtol=0, atol=0)


@each_impl
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_as_many_are_dropped_as_said_and_the_mean_is_kept(impl, p):
    x = torch.ones(1000, 1000)
    y, grad = run(x, p, impl)
    kept = (y != 0).double()
    assert abs(kept.mean() - (1 - p)) < 5 * (p * (1 - p) / x.numel()) ** 0.5  # standard errors
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))
    torch.testing.assert_close(grad, y)  # the same mask
    for dim in (0, 1):  # neither rows nor columns, nor neighbours, are alike
        assert ((kept.mean(dim) - (1 - p)).abs() < 6 * (p * (1 - p) / 1000) ** 0.5).all()
        shifted = (kept.roll(1, dim) * kept).mean()
        assert abs(shifted - (1 - p) ** 2) < 5e-3


@each_impl
def test_masks_follow_the_random_state(impl):
    x = torch.ones(50, 50)
    torch.manual_seed(3)
    first, second = (dropout(x, 0.5, impl=impl) for _ in range(2))
    assert not torch.equal(first, second)
    torch.testing.assert_close(run(x, 0.5, impl, seed=3)[0], first, rtol=0, atol=0)


@needs_compiler
def test_threads_change_nothing():
    x, threads, results = torch.randn(1000, 7), torch.get_num_threads(), []
    for number in (1, 2, 5, 100):
        torch.set_num_threads(number)
        results.append(run(x, 0.5, "cpu"))
    torch.set_num_threads(threads)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)


@needs_compiler
def test_inputs_that_are_not_contiguous():
    x = torch.randn(30, 20).t()
    y, _ = run(x, 0.5, "cpu")
    torch.testing.assert_close(y, run(x.contiguous(), 0.5, "cpu")[0], rtol=0, atol=0)


def test_gradcheck():
    def fixed(x):
        torch.manual_seed(1)
        return dropout(x, 0.4, impl="naive")

    assert torch.autograd.gradcheck(fixed, torch.randn(5, 3, dtype=torch.float64, requires_grad=True))


def test_half_precision_goes_to_torch():
    y = dropout(torch.ones(1000, dtype=torch.bfloat16), 0.5)
    assert y.dtype == torch.bfloat16 and set(y.tolist()) == {0.0, 2.0}


def test_without_dropout_nothing_is_drawn():
    x, state = torch.randn(3), torch.get_rng_state()
    assert dropout(x, 0.0) is x and torch.equal(state, torch.get_rng_state())


def test_bad_arguments_are_refused():
    x = torch.ones(2)
    for p in (1.0, -0.1):
        with pytest.raises(ValueError, match="below 1"):
            dropout(x, p)
    with pytest.raises(ValueError, match="choose from"):
        dropout(x, 0.5, impl="fast")
    with pytest.raises(RuntimeError, match="float32 or float64|missing"):
        dropout(x.half(), 0.5, impl="cpu")
