"""The contract that every recurrent layer keeps."""

import pytest
import torch

from lm_plugins.modules.cifg import CIFGLayer
from lm_plugins.modules.factorised_lstm import FactorisedLSTM
from lm_plugins.modules.layer_norm_lstm import LayerNormLSTM
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.modules.simple_rnn import SimpleRNN
from lm_plugins.modules.weight_drop_gru import WeightDropGRU
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM
from lm_plugins.ops.resets import Resets

D, H = 5, 4
LAYERS = {
    "qrnn": lambda: QRNNLayer(D, H, weight_dropout=0.3, zoneout=0.1),
    "qrnn_of_width_2": lambda: QRNNLayer(D, H, window=2),
    "lstm": lambda: WeightDropLSTM(D, H, weight_dropout=0.3),
    "masked_lstm": lambda: WeightDropLSTM(D, H, candidate_dropout=0.3),
    "lstmp": lambda: WeightDropLSTM(D, H, memory_cells=7, weight_dropout=0.3),
    "masked_lstmp": lambda: WeightDropLSTM(D, H, memory_cells=7, candidate_dropout=0.3),
    "factorised_lstm": lambda: FactorisedLSTM(D, H, rank=2, weight_dropout=0.3),
    "layer_norm_lstm": lambda: LayerNormLSTM(D, H, weight_dropout=0.3, candidate_dropout=0.3),
    "cifg": lambda: CIFGLayer(D, H, weight_dropout=0.3),
    "projected_cifg": lambda: CIFGLayer(D, H, memory_cells=7, forget_bias=1.0),
    "gru": lambda: WeightDropGRU(D, H, weight_dropout=0.3),
    "simple_rnn": lambda: SimpleRNN(D, H, weight_dropout=0.3),
    "tanh_rnn": lambda: SimpleRNN(D, H, weight_dropout=0.3, nonlinearity="tanh"),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]()


@pytest.fixture
def x():
    return torch.randn(6, 3, D)


def test_a_split_window_is_the_whole_window(layer, x):
    layer, x = layer.double().eval(), x.double()
    y, last = layer(x)
    first, state = layer(x[:4])
    second, end = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), y, rtol=0, atol=1e-14)
    torch.testing.assert_close(end, last, rtol=0, atol=1e-14)


def test_a_reset_forgets_the_state_and_the_input_before_it(layer, x):
    layer, x = layer.double().eval(), x.double()
    mask = torch.zeros(6, 3, dtype=torch.bool)
    mask[4] = True
    y, last = layer(x, None, Resets(mask))
    torch.testing.assert_close(y[:4], layer(x[:4])[0], rtol=0, atol=1e-14)
    torch.testing.assert_close((y[4:], last), layer(x[4:]), rtol=0, atol=1e-14)


def test_no_state_is_the_initial_state(layer, x):
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x, layer.initial_state(3))[0])


def test_the_state_has_the_dtype_of_the_weights_under_autocast(layer, x):
    with torch.autocast("cpu", torch.bfloat16):
        _, state = layer(x.bfloat16(), layer.initial_state(3))
    assert {part.dtype for part in state} == {torch.float32}
    assert [part.shape for part in state] == [part.shape for part in layer.initial_state(3)]


def test_dropout_acts_in_training_alone(layer, x):
    """Train, eval and train again: each training pass has new masks."""
    plain = layer.eval()(x)[0]
    for _ in range(2):
        drops = any(getattr(layer, p, 0) for p in ("weight_dropout", "candidate_dropout", "zoneout"))
        first, second = layer.train()(x)[0], layer(x)[0]
        assert torch.equal(first, second) is not drops
        assert torch.equal(layer.eval()(x)[0], plain)


def test_the_old_state_and_the_input_are_not_changed(layer, x):
    state = tuple(torch.randn_like(part) for part in layer.initial_state(3))
    before = [part.clone() for part in (x, *state)]
    y, _ = layer(x, state)
    y.sum().backward()
    assert all(map(torch.equal, before, (x, *state)))
