"""Small untrained language models for tests of scoring, one of each kind."""

from pathlib import Path

import torch

from lm_plugins.hub import LanguageModel
from lm_plugins.models.awd_gru import AWDGRU
from lm_plugins.models.awd_lstm import AWDLSTM
from lm_plugins.models.qrnn import QRNN
from lm_plugins.models.simple_rnn import SimpleRNNModel
from tests.helpers.models import Task

SYMBOLS = 40
SMALL = {"decoder_embed_dim": 6, "decoder_hidden_size": 8, "decoder_layers": 2}
MODELS = {  # class and options
    "lstm": (AWDLSTM, {}),
    "sentences": (AWDLSTM, {"sample_break_mode": "eos"}),
    "projection": (AWDLSTM, {"memory_cells": 10}),
    "layer norm": (AWDLSTM, {"layer_norm": True}),
    "gru": (AWDGRU, {}),
    "rnn": (SimpleRNNModel, {}),
    "qrnn": (QRNN, {"qrnn_window": 1}),
    "window 2": (QRNN, {"qrnn_window": 2}),
    "adaptive": (AWDLSTM, {"output_layer": "adaptive_softmax", "adaptive_softmax_cutoff": "12"}),
    "mos": (AWDLSTM, {"output_layer": "mos", "n_experts": 3}),
    "split": (AWDLSTM, {"split_vocabulary": True, "share_decoder_input_output_embed": False}),
    "nce": (AWDLSTM, {"nce_z": "learned", "share_decoder_input_output_embed": False}),
}


def language_model(kind: str, folder: Path, level: str = "word") -> LanguageModel:
    """Return the model of `kind`, the same for each call. Its large weights tell tokens apart."""
    model, options = MODELS[kind]
    torch.manual_seed(3)
    task = Task(SYMBOLS)
    decoder = model.build_model(model.config(**SMALL, **options), task).decoder.eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(4)
    return LanguageModel(decoder, task.source_dictionary, str(folder), level)
