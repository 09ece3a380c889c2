"""The weight-dropped LSTM: an nn.LSTM without dropout, and a masked weight with it."""

import copy
import io

import pytest
import torch

from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.lstm import lstm


def layer(**options):
    return WeightDropLSTM(5, 7, **options).double()


def draw(steps=6, streams=3):
    return torch.randn(steps, streams, 5, dtype=torch.float64)


def test_without_dropout_it_is_nn_lstm_with_the_same_state_dict():
    ours, theirs, x = layer(), torch.nn.LSTM(5, 7).double(), draw().requires_grad_()
    theirs.load_state_dict(ours.state_dict())
    y, (h, c) = ours(x)
    expected, (h_n, c_n) = theirs(x)
    torch.testing.assert_close((y, h, c), (expected, h_n[0], c_n[0]), rtol=0, atol=1e-12)
    gradients = torch.autograd.grad(y.square().sum(), [x, *ours.parameters()])
    wanted = torch.autograd.grad(expected.square().sum(), [x, *theirs.parameters()])
    torch.testing.assert_close(gradients, wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_cut_window_with_its_state_is_the_whole(cut):
    ours, x = layer(weight_dropout=0.5).eval(), draw()
    first, state = ours(x[:cut])
    second, state = ours(x[cut:], state)
    whole, last = ours(x)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name, option", [
    ("weight_hh_l0", "weight_dropout"), ("weight_ih_l0", "input_weight_dropout"),
])  # fmt: skip
def test_the_weight_is_masked_as_a_value(name, option):
    ours, x = layer(**{option: 0.4}), draw()
    raw = getattr(ours, name).detach().clone()
    torch.manual_seed(8)
    y, _ = ours(x)
    torch.manual_seed(8)
    masked = dropout(getattr(ours, name), 0.4)
    weights = {key: masked if key == name else value for key, value in ours.named_parameters()}
    expected, _ = lstm(x, ours.initial_state(3), tuple(weights.values()), impl="naive")
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    y.sum().backward()
    dropped = masked.detach() == 0
    assert 0 < int(dropped.sum()) < dropped.numel()
    assert bool((getattr(ours, name).grad[dropped] == 0).all())
    assert bool((getattr(ours, name).grad[~dropped] != 0).all())
    assert torch.equal(getattr(ours, name), raw)


@pytest.mark.parametrize("option", ["weight_dropout", "input_weight_dropout", "candidate_dropout"])
def test_masks_are_new_each_forward_and_absent_in_evaluation(option):
    ours, plain, x = layer(**{option: 0.5}), layer(), draw()
    plain.load_state_dict(ours.state_dict())
    for _ in range(2):  # train -> eval -> train
        ours.train()
        assert not torch.equal(ours(x)[0], ours(x)[0])
        ours.eval()
        assert torch.equal(ours(x)[0], plain(x)[0])


def test_candidate_dropout_draws_a_mask_at_each_step():
    ours, x = layer(candidate_dropout=0.3), draw()
    torch.manual_seed(8)
    y, state = ours(x)
    torch.manual_seed(8)
    mask = dropout(torch.ones(6, 3, 7, dtype=torch.float64), 0.3)
    weights = tuple(ours.parameters())
    expected, last = lstm(x, ours.initial_state(3), weights, mask, impl="naive")
    torch.testing.assert_close((y, state), (expected, last), rtol=0, atol=1e-12)


def test_copies_and_saved_weights_work():
    ours, x = layer(weight_dropout=0.5), draw()
    ours(x)[0].sum().backward()
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(ours)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.eval()(x)[0], ours.eval()(x)[0])


def test_initial_values():
    ours = WeightDropLSTM(50, 100, forget_bias=1.0, init_range=0.04)
    forget = ours.bias_ih_l0[100:200].detach()
    assert 0.96 <= float(forget.min()) and float(forget.max()) <= 1.04
    rest = [ours.weight_ih_l0, ours.weight_hh_l0, ours.bias_hh_l0, ours.bias_ih_l0[:100]]
    assert 0.035 < max(float(part.detach().abs().max()) for part in rest) <= 0.04
    assert 0.09 < float(WeightDropLSTM(50, 100).weight_hh_l0.detach().abs().max()) <= 0.1
