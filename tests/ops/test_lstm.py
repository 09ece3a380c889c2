"""Every LSTM against its definition, forward and backward, with state and candidate mask."""

import pytest
import torch

from lm_plugins.ops.lstm import lstm
from lm_plugins.ops.resets import Resets

SHAPES = [(1, 1, 1, 1), (1, 3, 5, 7), (6, 1, 33, 3), (9, 2, 4, 33)]


def inputs(t, b, d, h):
    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64)

    return (
        draw(t, b, d),
        draw(b, h),
        draw(b, h),
        draw(4 * h, d),
        draw(4 * h, h),
        draw(4 * h),
        draw(4 * h),
    )


def run(impl, tensors, mask=None, reset=None):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    x, h, c, *weights = leaves
    y, (h_n, c_n) = lstm(x, (h, c), tuple(weights), mask, reset, impl=impl)
    generator = torch.Generator().manual_seed(5)
    loss = sum(
        (out * torch.randn(out.shape, dtype=torch.float64, generator=generator).to(out)).sum()
        for out in (y, h_n, c_n)
    )
    return (y, h_n, c_n), torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("impl", ["torch", "masked"])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definition_with_gradients(impl, shape):
    tensors = inputs(*shape)
    outputs, gradients = run(impl, tensors)
    expected, expected_gradients = run("naive", tensors)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_candidate_mask_with_gradients(shape):
    t, b, _, h = shape
    tensors, mask = inputs(*shape), torch.bernoulli(torch.full((t, b, h), 0.7).double()) / 0.7
    outputs, gradients = run("masked", tensors, mask)
    expected, expected_gradients = run("naive", tensors, mask)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-11)
    assert not torch.allclose(outputs[0], run("naive", tensors)[0][0]) or bool((mask == 1).all())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0], ids=["nowhere", "some", "everywhere"])
@pytest.mark.parametrize("impl", ["torch", "masked"])
@pytest.mark.parametrize("shape", SHAPES)
def test_resets_with_gradients(impl, shape, share):
    tensors, reset = inputs(*shape), Resets(torch.rand(shape[:2]) < share)
    outputs, gradients = run(impl, tensors, reset=reset)
    expected, expected_gradients = run("naive", tensors, reset=reset)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-11)


def test_after_a_reset_nothing_is_left_of_what_was_before():
    x, h, c, *weights = inputs(6, 2, 3, 4)
    reset = torch.zeros(6, 2, dtype=torch.bool)
    reset[3, 1] = True
    y, state = lstm(x, (h, c), tuple(weights), reset=Resets(reset))
    zeros = torch.zeros(1, 4).double()
    alone, (last, _) = lstm(x[3:, 1:], (zeros, zeros), tuple(weights))
    torch.testing.assert_close((y[3:, 1:], state[0][1:]), (alone, last))
    whole, _ = lstm(x, (h, c), tuple(weights))
    torch.testing.assert_close(y[:, 0], whole[:, 0])


def test_the_definition_is_torch_nn_lstm():
    x, h, c, *weights = inputs(5, 3, 4, 6)
    module = torch.nn.LSTM(4, 6).double()
    for parameter, weight in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(weight)
    expected, (h_n, c_n) = module(x, (h[None], c[None]))
    y, state = lstm(x, (h, c), tuple(weights), impl="naive")
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, (h_n[0], c_n[0]), rtol=0, atol=1e-12)


def test_float32_runs_torchs_lstm_to_its_precision():
    tensors = inputs(12, 3, 20, 24)
    outputs, gradients = run("torch", [tensor.float() * 0.2 for tensor in tensors])
    expected, expected_gradients = run("naive", [tensor * 0.2 for tensor in tensors])
    for got, want in zip((*outputs, *gradients), (*expected, *expected_gradients), strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_float32_on_a_cpu_runs_in_onednn():
    tensors = [tensor.float() for tensor in inputs(12, 3, 20, 24)]
    with torch.profiler.profile() as profile:
        run("torch", tensors)
    assert "aten::mkldnn_rnn_layer_backward" in {event.key for event in profile.key_averages()}


def test_bad_arguments_are_refused():
    x, h, c, *weights = inputs(2, 1, 3, 4)
    with pytest.raises(ValueError, match="impl 'fast'"):
        lstm(x, (h, c), tuple(weights), impl="fast")
    with pytest.raises(RuntimeError, match="does not support a candidate mask"):
        lstm(x, (h, c), tuple(weights), torch.ones(2, 1, 4), impl="torch")


def test_autocast_leaves_the_recurrence_in_float32():
    """In 100 updates on PTB, oneDNN's bfloat16 LSTM reaches a perplexity of 809, and float32 reaches 736."""
    x, h, c, *weights = (tensor.float() for tensor in inputs(6, 2, 5, 7))
    expected = lstm(x, (h, c), tuple(weights))
    with torch.autocast("cpu", torch.bfloat16):
        result = lstm(x, (h, c), tuple(weights))
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


@pytest.mark.parametrize("impl", ["torch", "masked", "naive"])
def test_the_state_is_not_a_view_of_the_window(impl):
    """A view would keep the outputs of all steps in memory, and in checkpoints."""
    x, h, c, *weights = inputs(6, 2, 5, 7)
    _, state = lstm(x, (h, c), tuple(weights), impl=impl)
    assert all(part.untyped_storage().nbytes() == part.nbytes for part in state)
