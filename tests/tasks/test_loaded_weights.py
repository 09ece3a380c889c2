"""Weights are not loaded into a model that computes something else with them."""

import pytest
import torch

from lm_plugins.errors import Refused
from tests.helpers.saved_model import save_model
from tests.helpers.tasks import training

UNTIED = ("--no-share-decoder-input-output-embed", "--decoder-last-size", "12")
SIZES = ("--decoder-embed-dim", "12", "--decoder-hidden-size", "16", "--decoder-layers", "3")
ADAPTIVE = ("--output-layer", "adaptive_softmax")
SIMPLE = ("--output-layer", "softmax", "--optimizer", "nt_asgd", "--lr", "1")
CASES = {
    "tied": ("awd_lstm_ptb", UNTIED, ("--share-decoder-input-output-embed", "--decoder-last-size", "12"),
             "--share-decoder-input-output-embed False -> True"),
    "cutoffs": ("qrnn_ptb", (*ADAPTIVE, "--adaptive-softmax-cutoff", "5,10"),
                (*ADAPTIVE, "--adaptive-softmax-cutoff", "6,10"), "--adaptive-softmax-cutoff 5,10 -> 6,10"),
    "nonlinearity": ("simple_rnn", SIMPLE, (*SIMPLE, "--nonlinearity", "tanh"),
                     "--nonlinearity sigmoid -> tanh"),
}  # fmt: skip


@pytest.mark.parametrize("start", ["--finetune-from-model", "--reset-optimizer"])
@pytest.mark.parametrize("arch, before, after, change", CASES.values(), ids=CASES)
def test_weights_with_another_meaning_are_refused(data_bin, tmp_path, start, arch, before, after, change):
    path = save_model(tmp_path / "base.pt", data_bin, arch, *SIZES, *before)
    flags = ("--save-dir", str(tmp_path / "new"), "--dropout", "0.1")
    flags += (start, str(path)) if start != "--reset-optimizer" else (start, "--restore-file", str(path))
    _, same, *_ = training(data_bin, arch, *before, *flags)
    weights = torch.load(path)["model"]
    same.load_state_dict(weights)
    with pytest.raises(Refused, match=f"another meaning in this model .{change}.: restore"):
        training(data_bin, arch, *after, *flags)
    _, other, *_ = training(data_bin, arch, *after)
    other.load_state_dict(weights)  # names and shapes say nothing


def test_another_kind_of_text_is_named(data_bin, tmp_path, caplog):
    path = save_model(tmp_path / "base.pt", data_bin, "awd_lstm_ptb", *SIZES, "--sample-break-mode", "eos")
    flags = ("--finetune-from-model", str(path), "--save-dir", str(tmp_path / "new"))
    training(data_bin, "awd_lstm_ptb", *flags, "--sample-break-mode", "eos")
    assert "another kind of text" not in caplog.text
    training(data_bin, "awd_lstm_ptb", *flags)
    assert "another kind of text (--sample-break-mode eos -> none)" in caplog.text


def test_a_checkpoint_without_these_options_is_loaded(data_bin, tmp_path):
    path = save_model(tmp_path / "base.pt", data_bin, "awd_lstm_ptb", *SIZES)
    saved = torch.load(path)
    del saved["cfg"]["model"]["share_decoder_input_output_embed"], saved["cfg"]["model"]["sample_break_mode"]
    torch.save(saved, path)
    flags = ("--finetune-from-model", str(path), "--save-dir", str(tmp_path / "new"))
    training(data_bin, "awd_lstm_ptb", *flags, "--no-share-decoder-input-output-embed")
