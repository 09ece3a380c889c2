"""How each architecture is trained, as command-line flags: the published recipe, by arch name.

Sources: the README of salesforce/awd-lstm-lm (AWD-LSTM, QRNN) and of zihangdai/mos (MoS), Zaremba et
al. 2014 and its TensorFlow tutorial (lstm_small/medium/large), Zhang 2018 (lstm_mos_bm/bmlg),
OpenSeq2Seq's configuration files (lstm_wt103), the Torch blog's scripts (lstm_gbw).
fairseq divides the gradient by all tokens of a batch, Zaremba by the streams alone: learning rate
and clipping norm are converted by the window length (lr x T, clip / T).

What the user types wins over a preset; :mod:`lm_plugins.command_line` adds the rest.
"""

import math

from lm_plugins.one_cycle import one_cycle

PUBLISHED = "published"  # the default --regime

COMMON = {
    "--task": "recurrent_language_modeling",
    "--criterion": "lm_cross_entropy",
    "--no-epoch-checkpoints": None,  # 500 epochs of awd_lstm_ptb would take 49 to 97 GB
    "--num-workers": "0",  # cutting a window out of memory costs less than handing it over
}

MOS = {"--criterion": "mos"}
SGD = {"--optimizer": "sgd", "--lr-scheduler": "fixed"}
NT_ASGD = {"--optimizer": "nt_asgd", "--lr-scheduler": "fixed", "--nonmono": "5"}
ADAM = {"--optimizer": "adam", "--lr-scheduler": "fixed"}
AR_TAR = {"--ar-alpha": "2", "--tar-beta": "1"}
WEIGHT_DECAY = {"--weight-decay": "1.2e-6"}
VARIED = {"--bptt-variation": "5"}  # with every optimizer, as awd-lstm-lm has it


def stream(batch_size, window, epochs):
    return {
        "--batch-size": str(batch_size),
        "--tokens-per-sample": str(window),
        "--max-epoch": str(epochs),
    }


def divided_after(lr, *epochs):
    """`lr`, divided by ten after each of `epochs` (awd-lstm-lm's --when)."""
    return {
        "--lr": f"{lr:g}",
        "--lr-scheduler": "multi_step",
        "--milestones": ",".join(map(str, epochs)),
    }


def zaremba(window, norm, constant, epochs, decay, lr=1, batch_size=20):
    """`lr` for `constant` epochs, then times `decay` each epoch; clipping at `norm`."""
    return {
        **SGD,
        "--lr": f"{lr * window}",
        "--clip-norm": f"{norm / window:.6g}",
        "--force-anneal": str(constant + 1),
        "--lr-shrink": f"{decay:.6g}",
        **stream(batch_size, window, epochs),
    }


def billion_words(lr, epochs):
    """Torch's noise-contrastive-estimate.lua and multigpu-nce-rnnlm.lua on the Google Billion Words.

    Its epoch is 51.2 M words, ours the corpus, 15.6 times that. The momentum of the smaller model (0.9,
    damped as much) is left out: with sparse gradients it would have to be dense. The learning rate is
    0.4 of the published one, which diverged within 20 updates on Penn Treebank.
    """
    window = 50
    return {
        "--criterion": "nce",
        "--nce-k": "400",
        "--sparse-embedding-grad": None,
        "--split-vocabulary": None,
        "--optimizer": "nt_asgd",
        "--averaging": "never",
        "--lr": f"{0.4 * lr * window:g}",
        "--lr-scheduler": "linear_decay",
        "--lr-end": f"{0.001 * window:g}",
        "--saturate-epochs": "19",
        "--clip-norm": f"{10 / window:g}",
        **stream(128, window, epochs),
    }


PRESETS = {
    "awd_lstm_ptb": {
        **NT_ASGD,
        **VARIED,
        **AR_TAR,
        **WEIGHT_DECAY,
        **stream(20, 70, 500),
        "--lr": "30",
        "--clip-norm": "0.25",
        "--seed": "141",
    },
    "awd_lstm_wt2": {
        **NT_ASGD,
        **VARIED,
        **AR_TAR,
        **WEIGHT_DECAY,
        **stream(80, 70, 750),
        "--lr": "30",
        "--clip-norm": "0.25",
        "--seed": "1882",
    },
    "awd_lstm_mos_ptb": {
        **MOS,
        **NT_ASGD,
        **VARIED,
        **AR_TAR,
        **WEIGHT_DECAY,
        **stream(12, 70, 1000),
        "--bptt-max-delta": "40",
        "--lr": "20",
        "--clip-norm": "0.25",
        "--seed": "28",
    },
    "awd_lstm_mos_wt2": {
        **MOS,
        **NT_ASGD,
        **VARIED,
        **AR_TAR,
        **WEIGHT_DECAY,
        **stream(15, 70, 1000),
        "--bptt-max-delta": "20",
        "--lr": "15",
        "--clip-norm": "0.25",
        "--seed": "1882",
    },
    "awd_lstm_enwik8": {
        **ADAM,
        **VARIED,
        **WEIGHT_DECAY,
        **stream(128, 200, 50),
        **divided_after(1e-3, 25, 35),
        "--clip-norm": "0.25",
        "--seed": "1111",
    },
    "awd_lstm_ptb_char": {
        **ADAM,
        **VARIED,
        **WEIGHT_DECAY,
        **stream(128, 150, 500),
        **divided_after(2e-3, 300, 400),
        "--clip-norm": "0.25",
        "--seed": "1111",
    },
    "qrnn_ptb": {
        **NT_ASGD,
        **VARIED,
        **AR_TAR,
        **WEIGHT_DECAY,
        **stream(20, 70, 550),
        "--lr": "30",
        "--clip-norm": "0.2",
        "--seed": "9001",
    },
    "qrnn_wt2": {
        **NT_ASGD,
        **VARIED,
        **AR_TAR,
        **WEIGHT_DECAY,
        **stream(40, 70, 500),
        "--lr": "30",
        "--clip-norm": "0.25",
        "--seed": "4002",
    },
    "qrnn_wt103": {
        "--criterion": "adaptive_softmax",
        **ADAM,
        **VARIED,
        **stream(60, 140, 14),
        **divided_after(1e-3, 12),
        "--clip-norm": "0.25",
        "--seed": "1111",
    },
    "qrnn_ptb_char": {
        **ADAM,
        **VARIED,
        **WEIGHT_DECAY,
        **stream(128, 150, 500),
        **divided_after(2e-3, 300, 400),
        "--clip-norm": "0.25",
        "--seed": "1111",
    },
    "lstm_small": zaremba(20, norm=5, constant=4, epochs=13, decay=0.5),
    "lstm_medium": zaremba(35, norm=5, constant=6, epochs=39, decay=0.8),
    "lstm_large": zaremba(35, norm=10, constant=14, epochs=55, decay=1 / 1.15),
    "lstm_mos_bm": {
        **MOS,
        **zaremba(40, norm=7.2919, constant=51, epochs=100, decay=0.8, batch_size=28),
    },
    "lstm_mos_bmlg": {
        **MOS,
        **zaremba(40, norm=0.3, constant=34, epochs=60, decay=0.8, lr=20, batch_size=28),
    },
    "lstm_gbw_2x250": {**billion_words(lr=1, epochs=20), "--nce-z": "estimated"},
    "lstm_gbw_4x2048": billion_words(lr=0.7, epochs=7),
    "lstm_wt103": {
        **ADAM,
        **stream(224, 96, 1500),
        "--lr": "0.001",
        "--weight-decay": "2e-6",
        "--random-start": None,
    },
}


def short(typed, tokens, world):
    """The published model and dropouts in a ninth of the epochs: Adam, one cycle, rotated streams."""
    streams, window = 20, 70
    mean = 67.75  # of varied windows, see windows.varied
    return {
        "--optimizer": "adam",
        "--adam-betas": "(0.8, 0.99)",
        "--weight-decay": "0.03",
        **VARIED,
        **AR_TAR,
        **one_cycle(typed, tokens, world, epochs=60, peak=3e-3, streams=streams, window=mean),
        "--tokens-per-sample": str(window),
        "--batch-size": str(streams),
        "--clip-norm": "0.12",
        "--rotate-streams": None,
        "--seed": "9001",
    }


def small_text(typed, tokens, world):
    """A text of yours on a CPU: 1 MB, by characters, words or pieces, takes some five minutes of one core.

    A text of N tokens is read 4 sqrt(1e6 / N) times, at least twice and at most 16 times. The more often,
    the more dropout: at 16 times the QRNN's on Penn Treebank, in proportion below. Half a million tokens or
    fewer are cut into fewer streams and shorter windows, for more updates.
    """
    epochs = min(16, max(2, round(4 * math.sqrt(1e6 / tokens))))
    streams, window = (20, 70) if tokens > 500_000 else (10, 35)
    cycle = one_cycle(typed, tokens, world, epochs=epochs, peak=5e-3, streams=streams, window=window)
    scale = min(1.0, int(cycle["--max-epoch"]) / 16)
    dropouts = {
        "--dropout": 0.4,
        "--hidden-dropout": 0.3,
        "--input-dropout": 0.4,
        "--embedding-dropout": 0.1,
        "--weight-dropout": 0.1,
    }
    return {
        "--optimizer": "adam",
        "--adam-betas": "(0.8, 0.99)",
        **{flag: f"{scale * probability:.3g}" for flag, probability in dropouts.items()},
        **cycle,
        "--tokens-per-sample": str(window),
        "--batch-size": str(streams),
        "--batch-size-valid": "8",
        "--clip-norm": "0.25",
        "--rotate-streams": None,
    }


# Sized by the corpus: functions of the typed flags, the number of training tokens and of processes.
SIZED = {
    ("qrnn_ptb", "short"): short,
    ("qrnn_small", PUBLISHED): small_text,
    ("awd_lstm_small", PUBLISHED): small_text,
}

# What differs when a trained model is fine-tuned (--finetune-from-model): awd-lstm-lm's finetune.py,
# averaging from the first update and ending by the non-monotone rule.
FINETUNING = {name: {"--averaging": "always"} for name, flags in PRESETS.items() if "--nonmono" in flags}
FINETUNING["awd_lstm_mos_ptb"] |= {"--lr": "25"}
FINETUNING["awd_lstm_mos_wt2"] |= {"--lr": "20"}
FINETUNING["qrnn_ptb"] |= {"--seed": "404", "--max-epoch": "300"}
