"""Flags and options that several architectures share."""

from lm_plugins.architectures.architecture import Flags

# Flags of every training, whether or not its architecture has flags of its own.
COMMON: Flags = {
    "--task": "recurrent_language_modeling",
    "--criterion": "lm_cross_entropy",
    "--no-epoch-checkpoints": None,  # 500 epochs of awd_lstm_ptb would take 49 to 97 GB
    "--num-workers": "0",  # cutting a window out of memory is faster than passing it between processes
}

# Options of the model.
TIED = {"share_decoder_input_output_embed": True}

# Flags of fairseq-train.
SGD: Flags = {"--optimizer": "sgd", "--lr-scheduler": "fixed"}
ADAM: Flags = {"--optimizer": "torch_adam", "--lr-scheduler": "fixed"}  # with L2, as published
NT_ASGD: Flags = {"--optimizer": "nt_asgd", "--lr-scheduler": "fixed", "--nonmono": "5"}
VARIED: Flags = {"--bptt-variation": "5"}  # with every optimizer, as in awd-lstm-lm
AR_TAR: Flags = {"--ar-alpha": "2", "--tar-beta": "1"}
WEIGHT_DECAY: Flags = {"--weight-decay": "1.2e-6"}
AWD: Flags = {**NT_ASGD, **VARIED, **AR_TAR, **WEIGHT_DECAY}  # Merity et al. 2017, arXiv:1708.02182

# awd-lstm-lm's finetune.py averages from the first update and ends by the non-monotone rule.
AVERAGED: Flags = {"--averaging": "always"}

# Flags of fairseq-eval-lm: one setting for all models. Those of the published results were tuned for each.
DYNAMIC: Flags = {
    "--dynamic-evaluation": "rms",
    "--dynamic-lr": "1e-4",
    "--dynamic-decay": "2e-3",
    "--tokens-per-sample": "5",
}


def batches(streams: int, *, window: int, epochs: int) -> Flags:
    """Return the flags of a training on windows of `streams` parallel streams."""
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
