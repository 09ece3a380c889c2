"""Layers and output layers, exported and run by onnxruntime, equal torch."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from lm_plugins.errors import Refused
from lm_plugins.exporting import writing
from lm_plugins.exporting.agreement import TOLERANCE, check_agreement
from lm_plugins.exporting.forms import STEP, WINDOW
from lm_plugins.exporting.session import Session
from lm_plugins.exporting.writing import write_onnx
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax
from lm_plugins.modules.cifg import CIFGLayer
from lm_plugins.modules.factorised_lstm import FactorisedLSTM
from lm_plugins.modules.layer_norm_lstm import LayerNormLSTM
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.modules.simple_rnn import SimpleRNN
from lm_plugins.modules.softmax import Softmax
from lm_plugins.modules.weight_drop_gru import WeightDropGRU
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM
from tests.helpers.models import Task, config

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

V, C = 19, 6
SIZES = ("--decoder-embed-dim", "6", "--decoder-hidden-size", "6", "--share-decoder-input-output-embed")


def decoder_of(layers, *flags):
    layers = [layer.eval() for layer in layers]
    sizes = (*SIZES, "--decoder-layers", str(len(layers)))
    return RecurrentDecoder(config("awd_lstm", *sizes, *flags), Task(V).source_dictionary, layers).eval()


class AllHeads(nn.Module):
    """The log-probabilities of every output layer, one after the other."""

    def __init__(self, table):
        super().__init__()
        normal = nn.Parameter(torch.randn(V, C))
        self.heads = nn.ModuleList(
            [
                Softmax(C, V, weight=table),
                Softmax(C, V, rank=3, normaliser="learned"),
                AdaptiveSoftmax(C, V, cutoffs=[6, 11], weight=normal),
                AdaptiveSoftmax(C, V, cutoffs=[6, 11], factor=2),
                MixtureOfSoftmaxes(C, V, experts=3, width=C, weight=table),
            ]
        )

    def log_prob(self, features):
        return torch.cat([head.log_prob(features) for head in self.heads], dim=-1)


class Typed(RecurrentLayer):
    """A layer whose state is `kind` of a tensor: a NamedTuple, a nested tuple, or the tensor itself."""

    def __init__(self, kind, tensor):
        super().__init__()
        self.kind, self.tensor = kind, tensor

    def initial_state(self, batch_size):
        return self.kind(torch.zeros(batch_size, C))

    def forward(self, x, state=None, reset=None):
        y = self.tensor(state) + x.sum(0)
        return y.expand_as(x), self.kind(y.clone())


class Sum(NamedTuple):
    total: Tensor


def test_states_of_every_type(tmp_path):
    """A layer gets its state as it returned it, and not as the file has it."""
    layers = [
        Typed(Sum, lambda state: state.total),
        Typed(lambda tensor: ((tensor,), None), lambda state: state[0][0]),
        Typed(lambda tensor: tensor, lambda state: state),
    ]
    decoder = decoder_of(layers)
    write_onnx(decoder, STEP, "word", tmp_path / "lm.onnx")
    assert check_agreement(decoder, Session(tmp_path / "lm.onnx")) <= TOLERANCE


def test_windows(tmp_path):
    """The window has any length and number of streams, and resets."""
    layers = [
        QRNNLayer(C, 7, window=2, zoneout=0.2),
        WeightDropLSTM(7, 4, memory_cells=9),
        LayerNormLSTM(4, 5),
        CIFGLayer(5, C, memory_cells=7),
    ]
    decoder = decoder_of(layers, "--sample-break-mode", "eos")
    write_onnx(decoder, WINDOW, "word", tmp_path / "lm.onnx")
    session = Session(tmp_path / "lm.onnx")
    assert check_agreement(decoder, session) <= TOLERANCE
    assert session.symbols == decoder.dictionary.symbols
    assert session.metadata["level"] == "word"


def test_steps_of_every_output_layer(tmp_path):
    layers = [
        QRNNLayer(C, 7, window=2),
        FactorisedLSTM(7, 7, rank=2),
        WeightDropGRU(7, 5),
        SimpleRNN(5, 5),
        SimpleRNN(5, C, nonlinearity="tanh"),
    ]
    decoder = decoder_of(layers)
    decoder.output_head = AllHeads(decoder.embed_tokens.weight).eval()
    write_onnx(decoder, STEP, "word", tmp_path / "lm.onnx")
    assert check_agreement(decoder, Session(tmp_path / "lm.onnx")) <= TOLERANCE
    nn.init.constant_(decoder.layers[0].linear.bias, 0.1)
    with pytest.raises(Refused, match="differs from the one in torch by"):
        check_agreement(decoder, Session(tmp_path / "lm.onnx"))
    nn.init.constant_(decoder.layers[0].linear.bias, torch.nan)
    with pytest.raises(Refused, match="by inf"):
        check_agreement(decoder, Session(tmp_path / "lm.onnx"))


class Counting(RecurrentLayer):
    """A layer that a window cannot be traced through, because it loops over time in Python."""

    def __init__(self, start=0.0):
        super().__init__()
        self.start = start

    def initial_state(self, batch_size):
        return (torch.full((batch_size, C), self.start),)

    def forward(self, x, state=None, reset=None):
        (h,) = self.initial_state(x.size(1)) if state is None else state
        outputs = []
        for x_t in x:
            h = h + x_t
            outputs.append(h)
        return torch.stack(outputs), (h,)


def test_a_model_that_cannot_be_exported(tmp_path, monkeypatch):
    path = tmp_path / "lm.onnx"
    with pytest.raises(Refused, match="does not trace it for any number of .* give --step"):
        write_onnx(decoder_of([Counting()]), WINDOW, "word", path)
    with pytest.raises(Refused, match="initial state is not zero"):
        write_onnx(decoder_of([Counting(start=1.0)]), STEP, "word", path)
    monkeypatch.setattr(writing, "LARGEST", 100)
    with pytest.raises(Refused, match="an ONNX file holds less than 2 GiB"):
        write_onnx(decoder_of([Counting()]), STEP, "word", path)
    assert not path.exists()
