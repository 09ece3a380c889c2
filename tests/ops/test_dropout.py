"""Dropout by a counter-based generator against its definition, and the statistics of its masks."""

import pytest
import torch

from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.dropout.philox import WORD, philox
from tests.helpers.kernels import needs_compiler

each_impl = pytest.mark.parametrize("impl", ["torch", "naive", pytest.param("cpu", marks=needs_compiler)])

same_masks = pytest.mark.parametrize("impl", ["torch", pytest.param("cpu", marks=needs_compiler)])


def run(x, p, impl, seed=1):
    torch.manual_seed(seed)
    leaf = x.detach().requires_grad_()
    y = dropout(leaf, p, impl=impl)
    return y.detach(), torch.autograd.grad(y, leaf, torch.ones_like(y))[0]


@pytest.mark.parametrize("counter, key, answer", [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((WORD, WORD, WORD, WORD), (WORD, WORD), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
])  # fmt: skip
def test_philox_gives_the_published_numbers(counter, key, answer):
    """The numbers are the known answers of Random123."""
    words = philox([torch.tensor([word]) for word in counter], key[0] + (key[1] << 32))
    assert tuple(int(word) for word in words) == answer


@same_masks
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (127,), (128,), (129,), (33, 65), (3, 5, 400)])
def test_the_mask_is_that_of_the_definition(impl, shape, dtype):
    x = torch.randn(shape, dtype=dtype)
    for p in (0.1, 0.5, 0.999):
        torch.testing.assert_close(run(x, p, impl), run(x, p, "naive"), rtol=0, atol=0)


@same_masks
def test_many_blocks_and_a_large_seed(impl):
    x = torch.ones(300_000)
    torch.testing.assert_close(run(x, 0.3, impl, 2**40 + 7), run(x, 0.3, "naive", 2**40 + 7), rtol=0, atol=0)


@same_masks
def test_as_much_of_the_random_state_is_used(impl):
    """What is drawn after a mask then does not depend on the implementation either."""
    states = []
    for name in (impl, "naive"):
        run(torch.ones(300), 0.3, name)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


@same_masks
def test_infinity_and_nan_are_dropped(impl):
    x = torch.full((1000,), torch.inf)
    x[::2] = torch.nan
    torch.testing.assert_close(run(x, 0.5, impl), run(x, 0.5, "naive"), rtol=0, atol=0, equal_nan=True)
    assert run(x, 0.5, impl)[0].eq(0).any()


@each_impl
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_stated_share_is_dropped_and_the_mean_is_kept(impl, p):
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


@same_masks
def test_inputs_that_are_not_contiguous(impl):
    x = torch.randn(30, 20).t()
    y, _ = run(x, 0.5, impl)
    torch.testing.assert_close(y, run(x.contiguous(), 0.5, impl)[0], rtol=0, atol=0)


@each_impl
def test_gradcheck(impl):
    def fixed(x):
        torch.manual_seed(1)
        return dropout(x, 0.4, impl=impl)

    assert torch.autograd.gradcheck(fixed, torch.randn(5, 3, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_mask_does_not_depend_on_the_dtype(dtype):
    x = torch.ones(1000)
    y, grad = run(x.to(dtype), 0.5, None)
    assert y.dtype == grad.dtype == dtype
    torch.testing.assert_close((y.float(), grad.float()), run(x, 0.5, None), rtol=0, atol=0)


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
    with pytest.raises(RuntimeError, match="masks on a CPU"):
        dropout(x.to("meta"), 0.5, impl="naive")


@needs_compiler
@pytest.mark.parametrize("size", [1, 128, 1000])
def test_rounding_to_bfloat16_in_the_same_pass_changes_no_bit(size):
    """This also holds for infinities and NaN; the gradient in bfloat16 is converted to that of float32."""
    x = torch.randn(size) * 10.0 ** torch.randint(-40, 39, (size,))
    x[::7] = torch.inf
    x[::11] = torch.nan
    upstream, results = torch.randn(size, dtype=torch.bfloat16), []
    for dtype in (torch.bfloat16, None):
        torch.manual_seed(1)
        leaf = x.clone().requires_grad_()
        y = dropout(leaf, 0.3, dtype=dtype, impl="cpu").to(torch.bfloat16)
        results.append((y.detach(), torch.autograd.grad(y, leaf, upstream)[0]))
    torch.testing.assert_close(*results, rtol=0, atol=0, equal_nan=True)
