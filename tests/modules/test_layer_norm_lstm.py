"""The layer-normalised LSTM layer: weight drop, initial values, and inputs of zeros."""

import pytest
import torch

from lm_plugins.modules.layer_norm_lstm import LayerNormLSTM
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.layer_norm_lstm import Weights, layer_norm_lstm
from tests.helpers.models import build


def test_the_dropouts_are_masks_of_the_definition():
    layer = LayerNormLSTM(
        5, 7, weight_dropout=0.4, input_weight_dropout=0.3, candidate_dropout=0.2, forget_bias=1.0
    ).double()
    x, raw = torch.randn(6, 3, 5, dtype=torch.float64), dict(layer.named_parameters())
    torch.manual_seed(8)
    y, state = layer(x)
    torch.manual_seed(8)
    w, u = dropout(raw["weight_ih_l0"], 0.3), dropout(raw["weight_hh_l0"], 0.4)
    mask = dropout(torch.ones(6, 3, 7, dtype=torch.float64), 0.2)
    norms = [raw[name] for name in Weights._fields[2:]]
    expected = layer_norm_lstm(
        x, layer.initial_state(3), Weights(w, u, *norms), mask, eps=layer.eps, impl="naive"
    )
    torch.testing.assert_close((y, state), expected, rtol=0, atol=1e-12)


def test_initial_values():
    layer = LayerNormLSTM(50, 100, forget_bias=1.0, init_range=0.04)
    shift = layer.gate_shift.detach()
    assert 0.96 <= float(shift[1].min()) and float(shift[1].max()) <= 1.04
    uniform = [layer.weight_ih_l0, layer.weight_hh_l0, shift[0], shift[2], shift[3]]
    assert all(0.035 < float(tensor.detach().abs().max()) <= 0.04 for tensor in uniform)
    assert bool((layer.gate_scale == 1).all()) and bool((layer.cell_scale == 1).all())
    assert bool((layer.cell_shift == 0).all())
    assert 0.09 < float(LayerNormLSTM(50, 100).weight_hh_l0.detach().abs().max()) <= 0.1


@pytest.mark.parametrize("embedding_dropout", ["0", "0.5"])
def test_dropped_words_do_not_make_the_gradient_explode(embedding_dropout):
    """A dropped first word is an input of zeros with a state of zeros: nothing varies over the units."""
    sizes = ("--decoder-embed-dim", "32", "--decoder-hidden-size", "48")
    flags = ("--layer-norm", "--embedding-dropout", embedding_dropout)
    model = build("lstm_wt103", 40, *sizes, *flags).train()
    text = torch.randint(4, 40, (20, 11))
    loss = -model(text[:, :-1], target=text[:, 1:], stream="train", step=0)[0].mean()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert 0.1 < float(norm) < 100
