"""Architectures have the published sizes, what the user gives wins, and others can be declared."""

import dataclasses

import pytest
import torch
from omegaconf import OmegaConf

from lm_plugins.architectures import ARCHITECTURES, Architecture
from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.models.awd_lstm import AWDLSTM
from lm_plugins.models.qrnn import QRNN
from lm_plugins.models.recurrent_language_model import upgrade_config
from tests.helpers import models
from tests.helpers.models import config
from tests.helpers.runner import evaluate, train


def build(arch, size, *flags):
    with torch.device("meta"):  # sizes without memory
        return models.build(arch, size, *flags)


@pytest.mark.parametrize(
    "arch, vocabulary, millions",
    [
        ("awd_lstm_ptb", 10_000, 24.2),
        ("awd_lstm_wt2", 33_278, 33.6),
        ("awd_lstm_mos_ptb", 10_000, 21.5),
        ("awd_lstm_mos_wt2", 33_278, 34.9),
        ("awd_lstm_enwik8", 205, 47.3),
        ("awd_lstm_ptb_char", 50, 13.8),
        ("qrnn_ptb", 10_000, 24.0),
        ("qrnn_wt2", 33_278, 33.4),
        ("qrnn_wt103", 267_735, 153.9),
        ("qrnn_ptb_char", 50, 13.8),
        ("qrnn_enwik8", 205, 26.0),
        ("lstm_small", 10_000, 4.7),
        ("lstm_medium", 10_000, 19.8),
        ("lstm_large", 10_000, 66.0),
        ("lstm_gbw_2x250", 793_471, 398.5),
        ("lstm_gbw_4x2048", 793_471, 3385.1),
        ("lstm_mos_bm", 10_000, 41.5),
        ("lstm_mos_bmlg", 10_000, 41.5),
        ("lstm_mos_bmlg_pytorch", 10_000, 41.5),
        ("lstm_mos_bmlg_tuned", 10_000, 41.5),
        ("lstm_wt103", 267_735, 123.9),
        ("cifg_small", 10_000, 1.4),
    ],
)
def test_parameter_counts_of_the_papers(arch, vocabulary, millions):
    count = sum(parameter.numel() for parameter in build(arch, vocabulary).parameters())
    assert round(count / 1e6, 1) == millions
    number, unit = ARCHITECTURES[arch].parameters.split()
    assert float(number) * {"M": 1, "G": 1000}[unit] == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize(
    "arch, count",
    [
        ("lstm_small", 4.652),  # table 5.1
        ("lstm_medium", 19.775),
        ("lstm_large", 66.022),
        ("lstm_small_mos", 5.258),  # table 6.1
        ("lstm_medium_mos", 26.132),
        ("lstm_large_mos", 99.817),
        ("lstm_mos_search", 48.826),  # table 6.2
        ("lstm_mos_bm", 41.520),  # table 6.3
        ("lstm_medium_mos_tied", 17.503),  # table 7.2
        ("lstm_medium_mos_factorised", 20.240),
    ],
)
def test_parameter_counts_of_the_thesis(arch, count):
    """Zhang (2018), in millions, for 10,000 words.

    TensorFlow's LSTM has one bias where torch's has two, and the thesis's tied model none for the output.
    """
    model = build(arch, 10_000)
    ours = sum(parameter.numel() for parameter in model.parameters())
    ours -= sum(layer.bias_hh_l0.numel() for layer in model.decoder.layers)
    if config(arch).share_decoder_input_output_embed:
        ours -= model.decoder.output_head.vocabulary.bias.numel()
    assert f"{ours / 1e6:.3f}" == f"{count:.3f}"
    number, unit = ARCHITECTURES[arch].parameters.split()
    assert unit == "M" and float(number) == round(count, len(number.split(".")[1]))


def test_the_published_151_million_of_the_qrnn_are_those_of_width_1():
    """awd-lstm-lm's own code has a first layer of width 2, and 153.9 M parameters, like ours."""
    narrow = build("qrnn_wt103", 267_735, "--qrnn-window", "1")
    assert round(sum(parameter.numel() for parameter in narrow.parameters()) / 1e6) == 151


def test_what_the_user_gives_wins_also_where_it_is_the_familys_default():
    assert config("awd_lstm_ptb").input_dropout == 0.4
    assert config("awd_lstm").input_dropout == 0.65
    assert config("awd_lstm_ptb", "--input-dropout", "0.65").input_dropout == 0.65


def test_tying_can_be_switched_both_ways():
    flag = "share-decoder-input-output-embed"
    for arch, tied in (("awd_lstm_ptb", True), ("lstm_small", False)):
        assert config(arch).share_decoder_input_output_embed is tied
        assert config(arch, f"--{flag}").share_decoder_input_output_embed is True
        assert config(arch, f"--no-{flag}").share_decoder_input_output_embed is False


def test_every_boolean_option_can_be_switched_both_ways(restored):
    Architecture("lstm_normalised", AWDLSTM, options={"layer_norm": True}, training={})
    for arch, default in (("lstm_normalised", True), ("lstm_small", False)):
        assert config(arch).layer_norm is default
        assert config(arch, "--layer-norm").layer_norm is True
        assert config(arch, "--no-layer-norm").layer_norm is False
    assert config("lstm_small").split_vocabulary is False
    assert config("lstm_small", "--split-vocabulary").split_vocabulary is True


def test_the_last_layer_has_embedding_size_if_tied():
    tied, untied = build("awd_lstm_ptb", 50), build("awd_lstm", 50)
    assert tied.decoder.output_head.vocabulary.weight is tied.decoder.embed_tokens.weight
    assert tied.decoder.layers[-1].hidden_size == 400
    assert untied.decoder.output_head.vocabulary.weight.shape == (50, 1150)


def test_an_untied_output_matrix_may_have_its_own_initial_range():
    plain = models.build("lstm_small", 50)
    small = models.build("lstm_small", 50, "--output-init-range", "0.01")
    for model, limit in ((plain, 0.1), (small, 0.01)):
        assert 0.9 * limit < model.decoder.output_head.vocabulary.weight.abs().max() <= limit
        assert 0.09 < model.decoder.embed_tokens.weight.abs().max() <= 0.1


def test_the_first_qrnn_layer_alone_has_the_window():
    assert [layer.window for layer in build("qrnn_ptb", 50).decoder.layers] == [2, 1, 1, 1]
    narrow = build("qrnn_ptb", 50, "--qrnn-window", "1")
    assert [layer.window for layer in narrow.decoder.layers] == [1, 1, 1, 1]


@pytest.mark.parametrize("option", ["--input-weight-dropout", "--candidate-dropout"])
def test_dropouts_of_openseq2seq_act_in_training_alone(option):
    sizes = ("--decoder-embed-dim", "6", "--decoder-hidden-size", "8", "--decoder-layers", "2")
    model = models.build("lstm_small", 11, *sizes, option, "0.5")
    words = torch.randint(4, 11, (5, 3))
    plain, _, _ = model.eval().decoder.extract_features(words)
    assert torch.equal(model.decoder.extract_features(words)[0], plain)
    dropped, _, _ = model.train().decoder.extract_features(words)
    assert not torch.equal(dropped, plain)


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--memory-cells", "8"), "layer 1: an LSTM with a projection needs more memory cells than outputs"),
        (("--lstm-rank", "10"), "layer 1: the LSTM's matrices cannot be factorised with rank 10"),
        (("--lstm-rank", "2", "--layer-norm"), "--layer-norm supports neither --memory-cells nor"),
        (("--memory-cells", "9", "--layer-norm"), "--layer-norm supports neither --memory-cells nor"),
    ],
)
def test_options_of_an_lstm_that_do_not_fit_are_refused(flags, message):
    with pytest.raises(Refused, match=message):
        models.build("lstm_small", 11, *models.TINY, *flags)


def test_a_projected_lstm_is_as_wide_as_its_units():
    """LSTM-2048-512 has 2048 cells and 512 units; a tied last layer is as wide as the embedding."""
    model = build("awd_lstm_ptb", 50, "--memory-cells", "2048", "--decoder-hidden-size", "512")
    sizes = [tuple(layer.weight_hr_l0.shape) for layer in model.decoder.layers]
    assert sizes == [(512, 2048), (512, 2048), (400, 2048)]


@pytest.fixture
def restored():
    """Remove what a test declares."""
    before = dict(ARCHITECTURES)
    yield
    ARCHITECTURES.clear()
    ARCHITECTURES.update(before)


def test_a_plug_in_declares_its_own(restored):
    mine = Architecture(
        "qrnn_mine",
        QRNN,
        options={"decoder_layers": 2, "hidden_dropout": 0.1},
        training={"--optimizer": "adam", "--lr": "0.002", "--batch-size": "6"},
        regimes={"fast": lambda typed, tokens, world: {"--max-update": str(tokens), "--batch-size": "3"}},
        finetuning={"--lr": "0.001"},
    )
    assert ARCHITECTURES["qrnn_mine"] is mine
    assert (config("qrnn_mine").decoder_layers, config("qrnn_mine").hidden_dropout) == (2, 0.1)
    start = ["fairseq-train", "data", "--arch", "qrnn_mine"]
    completed = complete(start, {})
    assert completed[completed.index("--lr") + 1] == "0.002"
    finetuned = complete([*start, "--finetune-from-model", "x.pt"], {})
    assert finetuned[finetuned.index("--lr") + 1] == "0.001"
    fast = complete([*start, "--regime", "fast"], {})
    assert fast[fast.index("--max-update") + 1] == "1000000" and "--lr" not in fast
    smaller = dataclasses.replace(mine, name="qrnn_mine_1", options={"decoder_layers": 1})
    assert config("qrnn_mine_1").decoder_layers == 1 and smaller.training is mine.training


def test_a_wrong_declaration_is_refused():
    with pytest.raises(Refused, match="the architecture qrnn_ptb is already registered"):
        Architecture("qrnn_ptb", QRNN, options={}, training={})
    with pytest.raises(Refused, match="is already registered"):
        Architecture("transformer_lm", QRNN, options={}, training={})
    with pytest.raises(Refused, match="sets decoder_layer, .* of QRNN: did you mean decoder_layers"):
        Architecture("qrnn_wrong", QRNN, options={"decoder_layer": 2}, training={})
    assert "qrnn_wrong" not in ARCHITECTURES


@pytest.mark.parametrize("width", [1, 2])
def test_a_checkpoint_that_calls_the_width_window_is_loaded(width, data_bin, tmp_path):
    flags = ("--qrnn-window", width, "--max-update", "2", "--no-epoch-checkpoints")
    train(data_bin, tmp_path, *flags, arch="qrnn_ptb")
    path = tmp_path / "checkpoint_last.pt"
    new = evaluate(data_bin, path, "--cpu")
    state = torch.load(path, weights_only=False)
    with_old_name = state["cfg"]["model"]
    with_old_name["window"] = with_old_name.pop("qrnn_window")
    torch.save(state, path)
    old = evaluate(data_bin, path, "--cpu")
    loss = [line for line in new.output.splitlines() if "Loss (base 2)" in line]
    assert loss and loss[0].split("|")[-1] in old.output


def test_options_are_renamed_in_place():
    cfg = OmegaConf.create({"window": 1, "zoneout": 0.1})
    upgrade_config(cfg)
    assert cfg == {"qrnn_window": 1, "zoneout": 0.1}
    upgrade_config(cfg)
    assert cfg == {"qrnn_window": 1, "zoneout": 0.1}


@pytest.mark.parametrize(
    "flags",
    [
        {"training": {"--lr": 0.1}},
        {"training": {"lr": "0.1"}},
        {"training": {}, "regimes": {"short": {"--max-epoch": 3}}},
        {"training": {}, "finetuning": {"--max-epoch": 3}},
    ],
)
def test_a_flag_that_is_not_as_it_is_typed_is_refused(restored, flags):
    with pytest.raises(
        Refused, match="the architecture lstm_mine has the flag .*: give both as they are typed"
    ):
        Architecture("lstm_mine", AWDLSTM, options={}, **flags)
