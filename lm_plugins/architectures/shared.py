"""Flags and options that several architectures share."""

from lm_plugins.flags import Flags

# Flags of every training, whether or not its architecture has flags of its own.
COMMON: Flags = {
    "--task": "recurrent_language_modeling",
    "--criterion": "lm_cross_entropy",
    "--no-epoch-checkpoints": None,  # 500 epochs of awd_lstm_ptb would take 49 to 97 GB
}

# Options of the model.
TIED = {"share_decoder_input_output_embed": True}

# Flags of fairseq-train.
SGD: Flags = {"--optimizer": "sgd", "--lr-scheduler": "fixed"}
ADAM: Flags = {"--optimizer": "torch_adam", "--lr-scheduler": "fixed"}  # with L2, as published
NT_ASGD: Flags = {"--optimizer": "nt_asgd", "--lr-scheduler": "fixed", "--nonmono": "5"}
VARIED: Flags = {"--bptt-variation": "5"}  # for every optimizer, as in awd-lstm-lm
AR_TAR: Flags = {"--ar-alpha": "2", "--tar-beta": "1"}
WEIGHT_DECAY: Flags = {"--weight-decay": "1.2e-6"}
AWD: Flags = {**NT_ASGD, **VARIED, **AR_TAR, **WEIGHT_DECAY}  # Merity et al. 2017, arXiv:1708.02182

# Departures from the published code that several architectures share.
LIMITED = (
    "windows are at most 20 tokens longer than the mean; main.py has no limit (3 draws in 100,000 would "
    "exceed this one)"
)
VALIDATED = "validation during training reads as many streams as training; the published code reads 10"

# finetune.py of awd-lstm-lm and mos averages from the first update and ends by the non-monotone rule. The one
# of awd-lstm-lm also limits the windows, which its main.py does not.
AVERAGED: Flags = {"--averaging": "always"}
FINETUNED: Flags = {**AVERAGED, "--bptt-max-delta": "10"}


def dynamic(*, lr: str, decay: str, epsilon: str, window: int = 5) -> Flags:
    """Return the flags of the published dynamic evaluation, with statistics from all training windows.

    The authors' code has two scalings. The values for the QRNNs are used as they are. Those in the older
    scaling (--oldhyper, and all of mos) are converted: lr and epsilon are divided by sqrt(N), and lambda by
    the number of weight tensors. N is the number of training windows in 100 streams: 1,859 on Penn Treebank
    and 4,177 on WikiText-2. An AWD-LSTM has 14 tensors, and 17 with a mixture.
    """
    return {
        "--dynamic-evaluation": "rms",
        "--dynamic-lr": lr,
        "--dynamic-decay": decay,
        "--dynamic-epsilon": epsilon,
        "--dynamic-batches": "0",
        "--tokens-per-sample": str(window),
    }


def batches(streams: int, *, window: int, epochs: int) -> Flags:
    """Return the flags of training on windows of `streams` parallel streams."""
    return {
        "--batch-size": str(streams),
        "--tokens-per-sample": str(window),
        "--max-epoch": str(epochs),
    }


def divided_after(lr: float, *epochs: int) -> Flags:
    """Return the flags of a learning rate that is divided by ten after each of `epochs`."""
    return {
        "--lr": f"{lr:g}",
        "--lr-scheduler": "multi_step",
        "--milestones": ",".join(map(str, epochs)),
    }


# The training on enwik8 in awd-lstm-lm's README, which gives it for the LSTM only.
ENWIK8: Flags = {
    **ADAM,
    **VARIED,
    **WEIGHT_DECAY,
    **batches(128, window=200, epochs=50),
    **divided_after(1e-3, 25, 35),
    "--clip-norm": "0.25",
    "--seed": "1111",
}
