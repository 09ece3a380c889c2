"""Architectures have the published sizes, and what the user gives wins over their defaults."""

import functools

import pytest
import torch
from fairseq import options, tasks
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models import ARCH_MODEL_REGISTRY, build_model
from omegaconf import OmegaConf

from lm_plugins.presets import PRESETS, SIZED


class Task(tasks.FairseqTask):
    """Only what a model asks its task for: a dictionary of `size` symbols."""

    def __init__(self, size):
        self.source_dictionary_ = Dictionary()
        while len(self.source_dictionary_) < size:
            self.source_dictionary_.add_symbol(f"w{len(self.source_dictionary_)}")

    @property
    def source_dictionary(self):
        return self.source_dictionary_


@functools.cache
def config(arch, *flags):
    """The model's part of fairseq's configuration, read-only because tests share it."""
    parser = options.get_training_parser()
    task = ("--task", "recurrent_language_modeling", "--criterion", "lm_cross_entropy")
    optimizer = ("--optimizer", "adam", "--batch-size", "2")
    args = options.parse_args_and_arch(parser, ["data", "--arch", arch, *task, *optimizer, *flags])
    model = convert_namespace_to_omegaconf(args).model
    OmegaConf.set_readonly(model, True)
    return model


def build(arch, size, *flags):
    with torch.device("meta"):  # sizes without memory
        return build_model(config(arch, *flags), Task(size))


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
        ("lstm_small", 10_000, 4.7),
        ("lstm_medium", 10_000, 19.8),
        ("lstm_large", 10_000, 66.0),
        ("lstm_gbw_2x250", 793_471, 398.5),
        ("lstm_gbw_4x2048", 793_471, 3385.1),
        ("lstm_mos_bm", 10_000, 41.5),
        ("lstm_mos_bmlg", 10_000, 41.5),
        ("lstm_wt103", 267_735, 123.9),
    ],
)
def test_parameter_counts_of_the_papers(arch, vocabulary, millions):
    count = sum(parameter.numel() for parameter in build(arch, vocabulary).parameters())
    assert round(count / 1e6, 1) == millions


def test_every_arch_has_a_preset_and_every_preset_an_arch():
    ours = {name for name, model in ARCH_MODEL_REGISTRY.items() if "lm_plugins" in model.__module__}
    sized = {name for name, _ in SIZED}
    assert set(PRESETS) | sized == ours - {"awd_lstm", "qrnn"}


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


def test_the_last_layer_has_embedding_size_if_tied():
    tied, untied = build("awd_lstm_ptb", 50), build("awd_lstm", 50)
    assert tied.decoder.output_head.vocabulary.weight is tied.decoder.embed_tokens.weight
    assert tied.decoder.layers[-1].hidden_size == 400
    assert untied.decoder.output_head.vocabulary.weight.shape == (50, 1150)


def test_the_first_qrnn_layer_alone_has_window_two():
    assert [layer.window for layer in build("qrnn_ptb", 50).decoder.layers] == [2, 1, 1, 1]
