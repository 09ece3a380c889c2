"""Architectures are trained with the values of the published command lines and configurations."""

import argparse

import pytest
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import DictConfig

from lm_plugins.architectures import ARCHITECTURES
from tests.helpers.recipes import parsed

# Defaults of awd-lstm-lm's main.py; those of mos differ in the last two.
DEFAULTS = (
    "--emsize 400 --nhid 1150 --nlayers 3 --lr 30 --clip 0.25 --batch_size 80 --bptt 70 --dropout 0.4 "
    "--dropouth 0.3 --dropouti 0.65 --dropoute 0.1 --wdrop 0.5 --alpha 2 --beta 1 --wdecay 1.2e-6 "
    "--optimizer sgd --seed 1111 --nonmono 5 --when -1 --model LSTM --n_experts 0 --dropoutl 0 "
    "--nhidlast -1 --max_seq_len_delta 0"
)
MOS_DEFAULTS = f"{DEFAULTS} --max_seq_len_delta 40 --n_experts 10"
ADAM = "--alpha 0 --beta 0 --dropoute 0 --optimizer adam"
MOS = "--n_experts 15 --dropoutl 0.29"
MOS_PTB = (
    f"{MOS} --nhid 960 --nhidlast 620 --emsize 280 --dropouti 0.4 --dropouth 0.225 --seed 28 --batch_size 12"
)
MOS_WT2 = (
    f"{MOS} --nhid 1150 --nhidlast 650 --emsize 300 --dropouti 0.55 --dropouth 0.2 --seed 1882 "
    "--batch_size 15 --max_seq_len_delta 20"
)
QRNN = "--model QRNN --nlayers 4 --wdrop 0.1"
CHARACTERS = "--emsize 200 --nhid 1000 --dropouth 0.25 --dropouti 0.1 --dropout 0.1 --bptt 150 --lr 2e-3"
QRNN_PTB = f"{QRNN} --batch_size 20 --clip 0.2 --nhid 1550 --dropouth 0.3 --dropouti 0.4"
COMMANDS = [  # of the READMEs of awd-lstm-lm and mos
    ("awd_lstm_ptb", "--batch_size 20 --dropouti 0.4 --dropouth 0.25 --seed 141 --epochs 500"),
    ("awd_lstm_wt2", "--epochs 750 --dropouth 0.2 --seed 1882"),
    ("qrnn_ptb", f"{QRNN_PTB} --seed 9001 --epochs 550"),
    (
        "qrnn_wt2",
        f"{QRNN} --epochs 500 --dropouti 0.4 --dropouth 0.2 --nhid 1550 --seed 4002 --batch_size 40",
    ),
    (
        "qrnn_wt103",
        f"{ADAM} --model QRNN --epochs 14 --nlayers 4 --nhid 2500 --dropouth 0.1 --dropouti 0.1 "
        "--dropout 0.1 --wdrop 0 --wdecay 0 --bptt 140 --batch_size 60 --lr 1e-3 --when 12",
    ),
    (
        "awd_lstm_enwik8",
        f"{ADAM} --epochs 50 --nhid 1840 --dropouth 0.1 --dropouti 0.1 --wdrop 0.2 --bptt 200 "
        "--batch_size 128 --lr 1e-3 --when 25 35",
    ),
    ("awd_lstm_ptb_char", f"{ADAM} {CHARACTERS} --epochs 500 --batch_size 128 --when 300 400"),
    ("awd_lstm_mos_ptb", f"{MOS_PTB} --lr 20 --epochs 1000"),
    ("awd_lstm_mos_wt2", f"{MOS_WT2} --lr 15 --epochs 1000"),
]
FINETUNING = [
    ("awd_lstm_ptb", "--batch_size 20 --dropouti 0.4 --dropouth 0.25 --seed 141 --epochs 500"),
    ("awd_lstm_wt2", "--epochs 750 --dropouth 0.2 --seed 1882"),
    ("qrnn_ptb", f"{QRNN_PTB} --seed 404 --epochs 300"),
    ("awd_lstm_mos_ptb", f"{MOS_PTB} --lr 25 --epochs 1000"),
    ("awd_lstm_mos_wt2", f"{MOS_WT2} --lr 20 --epochs 1000"),
]
OURS = {  # option of awd-lstm-lm and mos: ours, where a number is the same
    "emsize": "decoder_embed_dim",
    "nhid": "decoder_hidden_size",
    "nlayers": "decoder_layers",
    "clip": "clip_norm",
    "batch_size": "batch_size",
    "bptt": "tokens_per_sample",
    "dropout": "dropout",
    "dropouth": "hidden_dropout",
    "dropouti": "input_dropout",
    "dropoute": "embedding_dropout",
    "dropoutl": "latent_dropout",
    "wdrop": "weight_dropout",
    "wdecay": "weight_decay",
    "epochs": "max_epoch",
}


def published(command: str, defaults: str) -> argparse.Namespace:
    """Return the options of a command line of awd-lstm-lm or mos."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--when", nargs="+", type=int)
    for name in ("model", "optimizer"):
        parser.add_argument(f"--{name}")
    for name in (
        *OURS,
        "lr",
        "alpha",
        "beta",
        "seed",
        "nonmono",
        "n_experts",
        "nhidlast",
        "max_seq_len_delta",
    ):
        parser.add_argument(f"--{name}", type=float)
    return parser.parse_args(f"{defaults} {command}".split())


def completed(arch: str, *typed: str) -> argparse.Namespace:
    """Return all options of ``fairseq-train --arch arch``, those of the model included."""
    args = parsed(["fairseq-train", "data", "--user-dir", "lm_plugins", "--arch", arch, *typed])
    sections = convert_namespace_to_omegaconf(args).values()
    options = {
        name: value
        for section in sections
        if isinstance(section, DictConfig)
        for name, value in section.items()
    }
    chosen = {name: getattr(args, name) for name in ("optimizer", "lr_scheduler", "criterion")}
    return argparse.Namespace(**{**options, **chosen})


def check(arch: str, command: str, *typed: str) -> argparse.Namespace:
    """Compare ``--arch arch`` with a published command line, and return the completed options."""
    mos = "mos" in arch
    theirs = published(command, MOS_DEFAULTS if mos else DEFAULTS)
    ours = completed(arch, *typed)
    expected = {mine: getattr(theirs, name) for name, mine in OURS.items()}
    assert {name: getattr(ours, name) for name in expected} == pytest.approx(expected)
    assert ours.lr == [theirs.lr] and ours.bptt_variation == 5 and ours.share_decoder_input_output_embed
    assert arch.startswith("qrnn") == (theirs.model == "QRNN")
    if theirs.alpha:
        assert (ours.ar_alpha, ours.tar_beta) == (theirs.alpha, theirs.beta)
    if theirs.optimizer == "adam":
        assert (ours.optimizer, ours.lr_scheduler) == ("torch_adam", "multi_step")
        assert not ours.decoupled_weight_decay and ours.adam_betas == (0.9, 0.999) and ours.adam_eps == 1e-8
        assert list(ours.milestones) == theirs.when
    else:
        assert (ours.optimizer, ours.lr_scheduler) == ("nt_asgd", "fixed")
        assert ours.nonmono == theirs.nonmono
    assert ours.seed == theirs.seed
    if mos:
        assert (ours.criterion, ours.output_layer) == ("mos", "mos")
        assert (ours.n_experts, ours.decoder_last_size) == (theirs.n_experts, theirs.nhidlast)
        assert ours.bptt_max_delta == theirs.max_seq_len_delta
    return ours


@pytest.mark.parametrize("arch, command", COMMANDS, ids=[arch for arch, _ in COMMANDS])
def test_training_is_that_of_the_command_line(arch, command):
    check(arch, command)


@pytest.mark.parametrize("arch, command", FINETUNING, ids=[arch for arch, _ in FINETUNING])
def test_fine_tuning_averages_from_the_first_update(arch, command):
    ours = check(arch, command, "--finetune-from-model", "x.pt")
    assert ours.averaging == "always"
    if "mos" not in arch:  # finetune.py: seq_len = min(seq_len, args.bptt + 10)
        assert ours.bptt_max_delta == 10


OLDHYPER = {"ptb": 1859, "wt2": 4177}  # training windows of 5 tokens in 100 streams
DYNAMIC = [  # lr, lambda and epsilon as published, window, number of weight tensors in the older scaling
    ("awd_lstm_ptb", 0.002, 0.02, 0.001, 5, 14),
    ("awd_lstm_wt2", 0.002, 0.02, 0.001, 5, 14),
    ("qrnn_ptb", 0.00012, 0.02, 2e-5, 20, None),
    ("qrnn_wt2", 0.00012, 0.008, 2e-5, 20, None),
    ("awd_lstm_mos_ptb", 0.002, 0.075, 0.001, 5, 17),
    ("awd_lstm_mos_wt2", 0.002, 0.02, 0.002, 5, 17),
]


@pytest.mark.parametrize(
    "arch, lr, decay, epsilon, window, tensors", DYNAMIC, ids=[one[0] for one in DYNAMIC]
)
def test_dynamic_evaluation_is_converted(arch, lr, decay, epsilon, window, tensors):
    flags = ARCHITECTURES[arch].dynamic
    root = OLDHYPER[arch.rsplit("_")[-1]] ** 0.5 if tensors else 1
    assert float(flags["--dynamic-lr"]) == pytest.approx(lr / root, rel=0.01)
    assert float(flags["--dynamic-epsilon"]) == pytest.approx(epsilon / root, rel=0.01)
    assert float(flags["--dynamic-decay"]) == pytest.approx(decay / (tensors or 1), rel=0.02)
    assert (flags["--tokens-per-sample"], flags["--dynamic-batches"]) == (str(window), "0")


# The configurations of the TensorFlow tutorial, and Zhang's best model (2018, tables 4.1 and A.2).
SCHEDULES = [  # units, layers, streams, window, learning rate, norm, epochs at it, decay, epochs
    ("lstm_small", (200, 2, 20, 20, 1.0, 5, 4, 0.5, 13)),
    ("lstm_medium", (650, 2, 20, 35, 1.0, 5, 6, 0.8, 39)),
    ("lstm_large", (1500, 2, 20, 35, 1.0, 10, 14, 1 / 1.15, 55)),
    ("lstm_mos_bm", (900, 3, 28, 40, 1.0, 7.2919, 51, 0.8, 100)),
    ("lstm_mos_bmlg", (900, 3, 28, 40, 20.0, 0.3, 34, 0.8, 60)),
]


@pytest.mark.parametrize("arch, configuration", SCHEDULES, ids=[arch for arch, _ in SCHEDULES])
def test_learning_rate_and_norm_are_converted_by_the_window(arch, configuration):
    units, layers, streams, window, lr, norm, constant, decay, epochs = configuration
    ours = completed(arch)
    assert (ours.decoder_embed_dim, ours.decoder_hidden_size, ours.decoder_layers) == (units, units, layers)
    assert (ours.batch_size, ours.tokens_per_sample, ours.max_epoch) == (streams, window, epochs)
    assert ours.lr == [lr * window] and ours.clip_norm == pytest.approx(norm / window, rel=1e-5)
    assert (ours.force_anneal, ours.lr_shrink) == (constant + 1, pytest.approx(decay, rel=1e-5))
    assert ours.optimizer == "sgd" and ours.dropout_mask == "step" and ours.weight_dropout == 0
