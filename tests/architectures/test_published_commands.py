"""Architectures are trained with the values of the published command lines and configurations."""

import argparse

import pytest
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import DictConfig

from lm_plugins.architectures import ARCHITECTURES
from tests.helpers.recipes import RECIPES, commands, parsed
from tests.helpers.runner import ROOT

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
    """Return all options of ``fairseq-train --arch arch``, including those of the model."""
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
    ("lstm_small_mos", (200, 2, 20, 20, 1.0, 5, 4, 0.5, 13)),
    ("lstm_medium_mos", (650, 2, 20, 35, 1.0, 5, 6, 0.8, 39)),
    ("lstm_medium_mos_tied", (650, 2, 20, 35, 1.0, 5, 6, 0.8, 39)),
    ("lstm_medium_mos_factorised", (650, 2, 20, 35, 1.0, 5, 6, 0.8, 39)),
    ("lstm_large_mos", (1500, 2, 20, 35, 1.0, 10, 14, 1 / 1.15, 55)),
    ("lstm_mos_search", (900, 3, 28, 40, 1.0, 7.2919, 51, 0.8, 100)),
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


@pytest.mark.parametrize(
    "arch, norm, epochs", [("lstm_mos_bmlg_pytorch", 0.3, 60), ("lstm_mos_bmlg_tuned", 0.25, 45)]
)
def test_the_numbers_of_pytorch_are_not_converted(arch, norm, epochs):
    """Its loss is averaged over all tokens, as fairseq's is."""
    ours, theirs = completed(arch), completed("lstm_mos_bmlg")
    assert (ours.lr, ours.clip_norm, ours.max_epoch) == ([20.0], norm, epochs)
    same = ("batch_size", "tokens_per_sample", "force_anneal", "lr_shrink", "n_experts", "criterion")
    assert all(getattr(ours, name) == getattr(theirs, name) for name in same)


@pytest.mark.parametrize(
    "arch, experts, rank",
    [
        *((f"lstm_{size}_mos", 15, None) for size in ("small", "medium", "large")),
        ("lstm_medium_mos_tied", 10, None),
        ("lstm_medium_mos_factorised", 10, 256),
        ("lstm_mos_search", 14, None),
        ("lstm_mos_bm", 5, None),
    ],
)
def test_the_mixtures_of_the_thesis(arch, experts, rank):
    ours = completed(arch)
    assert (ours.criterion, ours.output_layer, ours.n_experts, ours.output_rank) == (
        "mos",
        "mos",
        experts,
        rank,
    )
    assert ours.share_decoder_input_output_embed is arch.endswith("tied")


def test_the_qrnn_on_bytes_is_trained_as_the_lstm():
    ours, theirs = completed("qrnn_enwik8"), completed("awd_lstm_enwik8")
    different = {
        "arch", "_name", "decoder_layers", "decoder_hidden_size", "qrnn_window", "zoneout",
        "input_weight_dropout", "candidate_dropout", "forget_bias", "layer_norm", "memory_cells", "lstm_rank",
    }  # fmt: skip
    names = (vars(ours).keys() | vars(theirs).keys()) - different
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}


# Torch's scripts: the command lines of the post, and Z of noise-contrastive-estimate.lua when it was written.
TORCH = {
    "lstm_gbw_2x250": "--startlr 1 --saturate 300 --cutoff 10 --progress --uniform 0.1 --seqlen 50 "
    "--batchsize 128 --trainsize 400000 --validsize 40000 --hiddensize {250,250} --k 400 --minlr 0.001 "
    "--momentum 0.9 --dropout 0 --Z -1",
    "lstm_gbw_4x2048": "--startlr 0.7 --saturate 300 --minlr 0.001 --cutoff 10 --progress --uniform 0.1 "
    "--seqlen 50 --batchsize 128 --trainsize 400000 --validsize 40000 --hiddensize {2048,2048,2048,2048} "
    "--dropout 0.2 --k 400 --Z 1 --momentum -1",
}
TORCH_EPOCH = 128 * 400_000  # words
TORCH_PATIENCE = 50  # of their epochs, the script's --earlystop
GBW = 798_949_912  # training words, an epoch of ours


def torch_options(command: str) -> argparse.Namespace:
    """Return the options of a command line of Torch's scripts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--hiddensize", type=lambda text: [int(size) for size in text.strip("{}").split(",")])
    for name in ("startlr", "minlr", "cutoff", "uniform", "momentum", "dropout", "Z"):
        parser.add_argument(f"--{name}", type=float)
    for name in ("saturate", "seqlen", "batchsize", "trainsize", "validsize", "k"):
        parser.add_argument(f"--{name}", type=int)
    return parser.parse_args(command.split())


@pytest.mark.parametrize("arch", TORCH)
def test_torch_s_models_are_trained_as_in_the_post(arch):
    theirs, ours = torch_options(TORCH[arch]), completed(arch)
    units = theirs.hiddensize[0]
    assert [ours.decoder_hidden_size] * ours.decoder_layers == theirs.hiddensize
    assert ours.decoder_embed_dim == units and not ours.share_decoder_input_output_embed
    assert (ours.batch_size, ours.tokens_per_sample) == (theirs.batchsize, theirs.seqlen)
    assert (ours.dropout, ours.hidden_dropout, ours.input_dropout) == (theirs.dropout,) * 3
    assert ours.dropout_mask == "step" and ours.weight_dropout == ours.embedding_dropout == 0
    assert (ours.init_range, ours.rnn_init_range) == (theirs.uniform, theirs.uniform)
    assert ours.output_init_range == pytest.approx(units**-0.5, rel=1e-4)  # NCEModule:reset()
    assert ours.sample_break_mode == "eos"
    assert (ours.criterion, ours.nce_loss, ours.nce_noise, ours.nce_k) == ("nce", "nce", "unigram", theirs.k)
    assert not ours.nce_shared_noise and not ours.nce_row_noise  # batchnoise: for each time step
    assert ours.nce_z == ("estimated" if theirs.Z < 0 else "fixed")
    assert ours.clip_norm == pytest.approx(theirs.cutoff / theirs.seqlen)
    assert ours.lr_end == pytest.approx(theirs.minlr * theirs.seqlen)
    assert ours.saturate_epochs == int(theirs.saturate * TORCH_EPOCH / GBW)
    assert ours.patience == int(TORCH_PATIENCE * TORCH_EPOCH / GBW)
    # Departures that the header of the recipe has.
    departures = "; ".join(ARCHITECTURES[arch].departures)
    assert ours.lr == [pytest.approx(theirs.startlr * theirs.seqlen)]
    assert (theirs.momentum > 0) == ("no momentum (published: 0.9" in departures)


# OpenSeq2Seq's example_configs/lm/lstm-wkt103-mixed.py, with keep probabilities as they stand there.
OPENSEQ2SEQ = {
    "num_gpus": 8,
    "batch_size_per_gpu": 224,
    "num_epochs": 1500,
    "learning_rate": 1e-3,
    "minval": -0.1,
    "maxval": 0.1,
    "num_units": 1024,
    "forget_bias": 1.0,
    "encoder_layers": 3,
    "encoder_dp_output_keep_prob": 0.85,
    "encoder_last_output_keep_prob": 0.85,
    "recurrent_keep_prob": 0.7,
    "encoder_emb_keep_prob": 0.8,
    "emb_size": 320,
    "num_sampled": 8192,
    "scale": 2e-6,
    "bptt": 96,
}
DOCUMENTED_EMBEDDING = 400  # in its documentation, which has the 123.7 M parameters


def test_openseq2seq_s_model_is_trained_by_its_configuration():
    ours, theirs = completed("lstm_wt103"), argparse.Namespace(**OPENSEQ2SEQ)
    assert (ours.decoder_layers, ours.decoder_hidden_size) == (theirs.encoder_layers, theirs.num_units)
    assert ours.decoder_embed_dim == DOCUMENTED_EMBEDDING and ours.share_decoder_input_output_embed
    windows = ours.batch_size * ours.update_freq[0]
    assert windows == theirs.num_gpus * theirs.batch_size_per_gpu
    assert (ours.tokens_per_sample, ours.max_epoch) == (theirs.bptt, theirs.num_epochs)
    assert (ours.optimizer, ours.lr_scheduler, ours.lr) == ("torch_adam", "fixed", [theirs.learning_rate])
    assert ours.weight_decay == 0 and ours.output_l2 == theirs.scale
    assert ours.hidden_dropout == pytest.approx(1 - theirs.encoder_dp_output_keep_prob)
    assert ours.dropout == pytest.approx(1 - theirs.encoder_last_output_keep_prob)
    assert ours.candidate_dropout == pytest.approx(1 - theirs.recurrent_keep_prob)
    assert ours.embedding_dropout == pytest.approx(1 - theirs.encoder_emb_keep_prob)
    assert ours.input_dropout == ours.weight_dropout == 0 and ours.dropout_mask == "step"
    assert (ours.init_range, ours.rnn_init_range) == (theirs.maxval, theirs.maxval)
    assert ours.forget_bias == theirs.forget_bias and ours.clip_norm == 0
    assert (ours.criterion, ours.nce_loss) == ("nce", "tf_sampled_softmax")
    assert (ours.nce_k, ours.nce_noise) == (theirs.num_sampled, "log_uniform")
    assert ours.nce_distinct_noise and ours.nce_shared_noise  # once for each call of TensorFlow's loss
    assert ours.independent_windows and ours.random_start  # shuffle, rand_start
    assert ours.patience == 10  # theirs was ended by hand
    note = ARCHITECTURES["lstm_wt103"].recipes[0].published.note
    assert "on the validation text" in note and "from a zero state" in note


# Where an architecture differs from what was published with it: words of its departures or of its note. A
# conversion is not a departure.
DEPARTURES = {
    "qrnn_ptb_char": "the dropouts and the schedule are those of the LSTM",
    "qrnn_enwik8": "a choice of this repository",
    "lstm_gbw_2x250": "it would make sparse gradients dense",
    "lstm_gbw_4x2048": "this size was not run here",
    "lstm_wt103": "training stops after 10 validations",
    "lstm_medium": "divides the learning rate by 1.2",
    "lstm_medium_mos_tied": "does not say how many softmaxes",
    "awd_lstm_mos_wt2": "all 15 streams share one mask of weights and one of words",
}
# Departures that a family shares: windows, streams of validation, the end of an epoch, the first decay.
SHARED = {
    ("awd_lstm_ptb", "awd_lstm_wt2", "qrnn_ptb", "qrnn_wt2", "qrnn_wt103", "awd_lstm_enwik8", "qrnn_enwik8",
     "awd_lstm_ptb_char", "qrnn_ptb_char"): ("main.py has no limit", "the published code reads 10"),
    ("awd_lstm_mos_ptb", "awd_lstm_mos_wt2"): ("the published code reads 10",),
    tuple(arch for arch, _ in SCHEDULES): ("the published code drops what does not fill",),
    ("lstm_small", "lstm_medium", "lstm_large"): ("Lua code decays it an epoch later",),
}  # fmt: skip
BMLG = {"lstm_mos_bmlg_pytorch", "lstm_mos_bmlg_tuned"}  # as lstm_mos_bmlg, without its conversions
UNPUBLISHED = {"qrnn_small", "awd_lstm_small", "cifg_small"}  # for the user's own text


def test_every_architecture_is_compared_with_its_command_line():
    compared = {arch for arch, _ in (*COMMANDS, *SCHEDULES)} | TORCH.keys() | {"lstm_wt103"}
    compared |= BMLG
    assert ARCHITECTURES.keys() - UNPUBLISHED - {"qrnn_ptb_char", "qrnn_enwik8"} <= compared


def test_the_header_of_a_recipe_has_its_departures():
    expected = [(arch, words) for arch, words in DEPARTURES.items()]
    expected += [(arch, words) for family, each in SHARED.items() for arch in family for words in each]
    for arch, words in expected:
        for recipe in ARCHITECTURES[arch].recipes:
            header = (ROOT / f"recipes/{recipe.path}.sh").read_text().split("arch=")[0]
            assert words in " ".join(header.replace("#", " ").split()), (arch, words)
    shared = {arch for family in SHARED for arch in family}
    assert ARCHITECTURES.keys() - UNPUBLISHED <= shared | DEPARTURES.keys() | BMLG, (
        "none is published exactly"
    )


def test_the_qrnn_for_characters_has_the_regime_of_the_lstm():
    lstm, qrnn = completed("awd_lstm_ptb_char"), completed("qrnn_ptb_char")
    assert (qrnn.decoder_layers, qrnn.decoder_hidden_size) == (6, 1000)  # the paper, table of sizes
    for name in (*OURS.values(), "lr", "milestones", "seed"):
        if name not in ("decoder_layers", "decoder_hidden_size"):
            assert getattr(qrnn, name) == getattr(lstm, name), name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: "/".join(path.parts[-2:]))
def test_the_dry_run_of_a_recipe_trains_its_architecture_as_published(path):
    """The recipe itself adds no training flag."""
    trainings = [command for command in commands(path) if command[0] == "fairseq-train"]
    arch = trainings[0][trainings[0].index("--arch") + 1]
    first, alone = parsed(trainings[0]), parsed(["fairseq-train", "data", "--arch", arch])
    names = {name for name in vars(alone) if getattr(first, name) != getattr(alone, name)}
    where = {"data", "user_dir", "save_dir", "tensorboard_logdir"}
    assert names <= where | {"log_format", "log_interval", "no_progress_bar"}
