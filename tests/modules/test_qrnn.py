"""The QRNN layer against its equations, step by step."""

import pytest
import torch

from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.resets import Resets


def reference(layer, x, c, before, f_mask=1.0, reset=None):
    """h and c step by step from the layer's weights; `before` is the input before x."""
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            c, before = (torch.where(reset[t].unsqueeze(1), 0.0, part) for part in (c, before))
        u = x_t if layer.window == 1 else torch.cat([x_t, before], dim=1)
        gates = u @ layer.linear.weight.T + layer.linear.bias
        size = layer.hidden_size
        z, f, o = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
        f = torch.sigmoid(f) * (f_mask if isinstance(f_mask, float) else f_mask[t])
        c = f * torch.tanh(z) + (1 - f) * c
        outputs.append(torch.sigmoid(o) * c)
        before = x_t
    return torch.stack(outputs), c


def draw(layer, steps=6, streams=3):
    width = layer.linear.in_features // layer.window
    x = torch.randn(steps, streams, width, dtype=torch.float64, requires_grad=True)
    c = torch.randn(streams, layer.hidden_size, dtype=torch.float64, requires_grad=True)
    before = torch.randn(streams, width, dtype=torch.float64, requires_grad=True)
    return x, c, before


def state_of(layer, c, before):
    return (c,) if layer.window == 1 else (c, before)


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("steps, streams, sizes", [(1, 1, (1, 1)), (6, 3, (5, 7)), (9, 2, (33, 4))])
def test_equals_the_equations_with_gradients(window, steps, streams, sizes):
    layer = QRNNLayer(*sizes, window=window).double()
    x, c, before = draw(layer, steps, streams)
    y, state = layer(x, state_of(layer, c, before))
    expected, last = reference(layer, x, c, before)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(state[0], last, rtol=0, atol=1e-13)
    leaves = [x, c, *layer.parameters(), *([before] if window == 2 else [])]
    gradients = torch.autograd.grad(y.square().sum() + state[0].sum(), leaves)
    wanted = torch.autograd.grad(expected.square().sum() + last.sum(), leaves)
    torch.testing.assert_close(gradients, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_resets_with_gradients(window, share):
    layer = QRNNLayer(5, 7, window=window, zoneout=0.2).double().eval()
    x, c, before = draw(layer)
    reset = torch.rand(x.shape[:2]) < share
    y, state = layer(x, state_of(layer, c, before), Resets(reset))
    expected, last = reference(layer, x, c, before, 0.8, reset)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
    leaves = [x, c, *layer.parameters(), *([before] if window == 2 else [])]
    gradients = torch.autograd.grad(y.square().sum() + state[0].sum(), leaves)
    wanted = torch.autograd.grad(expected.square().sum() + last.sum(), leaves)
    torch.testing.assert_close(gradients, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_cut_window_with_its_state_is_the_whole(window, cut):
    layer = QRNNLayer(5, 7, window=window, weight_dropout=0.5, zoneout=0.2).double().eval()
    x, *_ = draw(layer)
    first, state = layer(x[:cut])
    second, state = layer(x[cut:], state)
    whole, last = layer(x)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-14)


@pytest.mark.parametrize("window", [1, 2])
def test_no_state_is_zeros(window):
    layer = QRNNLayer(5, 7, window=window).double()
    x, *_ = draw(layer)
    assert torch.equal(layer(x)[0], layer(x, layer.initial_state(3))[0])


def test_zoneout_masks_the_gate_in_training_and_scales_it_in_evaluation():
    layer = QRNNLayer(5, 7, zoneout=0.3).double()
    x, c, before = draw(layer)
    torch.manual_seed(4)
    y, _ = layer(x, (c,))
    torch.manual_seed(4)
    mask = dropout(torch.ones(6, 3, 7, dtype=torch.float64), 0.3) * 0.7
    torch.testing.assert_close(y, reference(layer, x, c, before, mask)[0], rtol=0, atol=1e-13)
    y, _ = layer.eval()(x, (c,))
    torch.testing.assert_close(y, reference(layer, x, c, before, 0.7)[0], rtol=0, atol=1e-13)


def test_weight_dropout_masks_all_weights_and_keeps_the_raw_ones():
    layer = QRNNLayer(5, 7, window=2, weight_dropout=0.5).double()
    x, *_ = draw(layer)
    raw = layer.linear.weight.detach().clone()
    torch.manual_seed(4)
    y, _ = layer(x)
    torch.manual_seed(4)
    mask = dropout(torch.ones_like(raw), 0.5)
    y.sum().backward()
    assert bool((layer.linear.weight.grad[mask == 0] == 0).all())
    assert torch.equal(layer.linear.weight, raw)
    plain = QRNNLayer(5, 7, window=2).double()
    plain.load_state_dict({"linear.weight": raw * mask, "linear.bias": layer.linear.bias})
    torch.testing.assert_close(y, plain(x)[0], rtol=0, atol=1e-13)
    assert torch.equal(layer.eval()(x)[0], layer(x)[0])  # train -> eval
    assert not torch.equal(layer.train()(x)[0], layer(x)[0])  # -> train


def test_other_windows_are_refused():
    with pytest.raises(ValueError, match="window of 1 or 2 inputs, not 3"):
        QRNNLayer(5, 7, window=3)
