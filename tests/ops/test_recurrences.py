"""Recurrences other than the plain LSTM against their definitions, and these against torch."""

import pytest
import torch
from torch import nn

from lm_plugins.ops.cifg import cifg
from lm_plugins.ops.gru import gru
from lm_plugins.ops.layer_norm_lstm import Weights, layer_norm_lstm
from lm_plugins.ops.lstm import lstm
from lm_plugins.ops.resets import Resets
from lm_plugins.ops.simple_rnn import simple_rnn

SHAPES = [(1, 1, 1, 2), (1, 3, 5, 7), (6, 1, 33, 3), (9, 2, 4, 33)]  # T, B, D, H


def draw(*shape):
    return torch.randn(shape, dtype=torch.float64)


def gated(gates):
    """Return a function that draws W, U and two biases."""
    return lambda d, h: [draw(gates * h, d), draw(gates * h, h), draw(gates * h), draw(gates * h)]


def projected(d, h):
    cells = 2 * h + 1
    p = draw(h, cells) / cells**0.5  # or rounding errors grow from step to step
    return [draw(4 * cells, d), draw(4 * cells, h), draw(4 * cells), draw(4 * cells), p]


def coupled(d, h):
    return [draw(3 * h, d), draw(3 * h, h), draw(3 * h)]


def coupled_projected(d, h):
    cells = 2 * h + 1
    return [draw(3 * cells, d), draw(3 * cells, h), draw(3 * cells), draw(h, cells) / cells**0.5]


def normalised(d, h):
    return [draw(4 * h, d), draw(4 * h, h), draw(4, h), draw(4, h), draw(h), draw(h)]


def masked(op, **options):
    """Return `op` with a candidate mask, the same for each call of one shape."""

    def run(x, state, weights, reset=None, impl=None):
        generator = torch.Generator().manual_seed(7)
        mask = torch.rand(*x.shape[:2], state[1].size(1), generator=generator, dtype=torch.float64)
        return op(x, state, weights, mask, reset, impl=impl, **options)

    return run


def plain(op, **options):
    def run(x, state, weights, reset=None, impl=None):
        return op(x, state, weights, reset=reset, impl=impl, **options)

    return run


# name: (op, weights of D and H, sizes of the state of H, implementations)
RECURRENCES = {
    "cifg": (plain(cifg), coupled, lambda h: [h, h], ["torch"]),
    "cifg_projected": (plain(cifg), coupled_projected, lambda h: [h, 2 * h + 1], ["torch"]),
    "gru": (plain(gru), gated(3), lambda h: [h], ["torch", "loop"]),
    "sigmoid": (plain(simple_rnn), gated(1), lambda h: [h], ["loop"]),
    "tanh": (plain(simple_rnn, nonlinearity="tanh"), gated(1), lambda h: [h], ["torch", "loop"]),
    "layer_norm_lstm": (plain(layer_norm_lstm, eps=1e-5), normalised, lambda h: [h, h], ["torch"]),
    "masked_layer_norm_lstm": (masked(layer_norm_lstm, eps=1e-5), normalised, lambda h: [h, h], ["torch"]),
    "lstmp": (plain(lstm), projected, lambda h: [h, 2 * h + 1], ["torch", "masked", "loop"]),
    "masked_lstmp": (masked(lstm), projected, lambda h: [h, 2 * h + 1], ["masked"]),
}
CASES = [(name, impl) for name, (*_, impls) in RECURRENCES.items() for impl in impls]


def run(name, impl, tensors, reset=None):
    """Return outputs, the new state, and the gradients of a random sum of both."""
    op, _, sizes, _ = RECURRENCES[name]
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    states = len(sizes(1))
    x, state, weights = leaves[0], tuple(leaves[1 : 1 + states]), tuple(leaves[1 + states :])
    y, new_state = op(x, state, weights, reset, impl)
    generator = torch.Generator().manual_seed(5)
    loss = sum(
        (out * torch.randn(out.shape, dtype=torch.float64, generator=generator)).sum()
        for out in (y, *new_state)
    )
    return (y, *new_state), torch.autograd.grad(loss, leaves)


def inputs(name, t, b, d, h):
    _, weights, sizes, _ = RECURRENCES[name]
    return [draw(t, b, d), *(draw(b, size) for size in sizes(h)), *weights(d, h)]


@pytest.mark.parametrize("share", [None, 0.0, 0.3, 1.0], ids=["none", "nowhere", "some", "everywhere"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name, impl", CASES)
def test_equals_the_definition_with_gradients(name, impl, shape, share):
    tensors = inputs(name, *shape)
    reset = None if share is None else Resets(torch.rand(shape[:2]) < share)
    outputs, gradients = run(name, impl, tensors, reset)
    expected, expected_gradients = run(name, "naive", tensors, reset)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name, impl", [*CASES, *((name, "naive") for name in RECURRENCES)])
def test_a_reset_is_a_zero_state_and_the_state_is_not_a_view(name, impl):
    op, _, sizes, _ = RECURRENCES[name]
    x, *rest = inputs(name, 6, 2, 3, 4)
    states = len(sizes(1))
    state, weights = tuple(rest[:states]), tuple(rest[states:])
    reset = torch.zeros(6, 2, dtype=torch.bool)
    reset[0] = True
    zeros = tuple(torch.zeros_like(tensor) for tensor in state)
    y, new_state = op(x, state, weights, Resets(reset), impl)
    torch.testing.assert_close((y, new_state), op(x, zeros, weights, None, impl), rtol=0, atol=1e-12)
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in new_state)


@pytest.mark.parametrize(
    "name, module",
    [("gru", nn.GRU(4, 6)), ("tanh", nn.RNN(4, 6)), ("lstmp", nn.LSTM(4, 13, proj_size=6))],
    ids=["gru", "tanh", "lstmp"],
)
def test_the_definition_is_that_of_torch(name, module):
    op, _, sizes, _ = RECURRENCES[name]
    module, x = module.double(), draw(5, 3, 4)
    state = tuple(draw(3, size) for size in sizes(6))
    theirs = tuple(tensor[None] for tensor in state)
    expected, last = module(x, theirs if len(theirs) > 1 else theirs[0])
    y, new_state = op(x, state, tuple(module.parameters()), None, "naive")
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    last = last if isinstance(last, tuple) else (last,)
    torch.testing.assert_close(new_state, tuple(tensor[0] for tensor in last), rtol=0, atol=1e-12)


def test_the_layer_norm_is_that_of_tensorflows_cell():
    """One step as LayerNormBasicLSTMCell computes it: kernel [D + H, 4H] with the gates i, j, f, o."""
    x, h, c, *weights = inputs("layer_norm_lstm", 1, 3, 5, 4)
    w, u, scale, shift, cell_scale, cell_shift = weights
    order = [0, 2, 1, 3]  # i, g = j, f, o of ours
    kernel = torch.cat([w, u], dim=1).T.unflatten(1, (4, 4))[:, order].flatten(1)
    names = ["input", "transform", "forget", "output"]
    gates = dict(zip(names, (torch.cat([x[0], h], 1) @ kernel).split(4, dim=1), strict=True))

    def norm(a, scale, shift):
        mean, variance = a.mean(1, keepdim=True), a.var(1, correction=0, keepdim=True)
        return (a - mean) * torch.rsqrt(variance + 1e-12) * scale + shift

    i, j, f, o = (norm(gates[name], scale[n], shift[n]) for name, n in zip(names, order, strict=True))
    new_c = norm(c * torch.sigmoid(f) + torch.sigmoid(i) * torch.tanh(j), cell_scale, cell_shift)
    new_h = torch.tanh(new_c) * torch.sigmoid(o)
    y, state = layer_norm_lstm(x, (h, c), Weights(*weights), eps=1e-12)
    torch.testing.assert_close((y[0], *state), (new_h, new_h, new_c), rtol=0, atol=1e-12)


def test_an_unsupported_implementation_is_refused():
    x, h, *weights = inputs("sigmoid", 2, 1, 3, 4)
    with pytest.raises(RuntimeError, match="supports tanh only"):
        simple_rnn(x, (h,), tuple(weights), impl="torch")
    with pytest.raises(ValueError, match="impl 'fast'"):
        gru(x, (h,), tuple(weights), impl="fast")
