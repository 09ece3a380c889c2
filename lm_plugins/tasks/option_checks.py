"""Refuse options that contradict each other, or that would train or count wrongly."""

import os

import torch
from omegaconf import DictConfig

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy
from lm_plugins.errors import Refused
from lm_plugins.models.heads import has_dense_matrix
from lm_plugins.modules.head import Head
from lm_plugins.ranges import check_config
from lm_plugins.tasks.config import RecurrentLanguageModelingConfig

# fairseq's options that would train or count wrongly here, and why.
REFUSED = {
    "amp": "--amp would unscale every gradient twice with fairseq's optimizers: use --fp16 or --autocast "
    "bf16",
    "tpu": "--bf16 and --tpu require torch_xla, which this task does not support: use --autocast bf16",
}


def check_task_options(cfg: RecurrentLanguageModelingConfig) -> None:
    """Check the options of the task, for training and evaluation alike.

    Raises:
        Refused: the options contradict each other, or processes are not connected.
    """
    for name, reason in REFUSED.items():
        if getattr(cfg, name):
            raise Refused(reason)
    check_config(cfg, RecurrentLanguageModelingConfig)
    if cfg.bptt_variation and cfg.random_start:
        raise Refused(
            "--bptt-variation and --random-start both move the window boundaries: give --bptt-variation "
            "0, or leave out --random-start"
        )
    if cfg.bptt_multiple > 1 and not cfg.bptt_variation:
        raise Refused("--bptt-multiple has no effect without --bptt-variation: leave it out")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
        raise Refused(
            f"{os.environ['WORLD_SIZE']} processes were started but are not connected, so each would "
            "work alone: train with torchrun and --user-dir, evaluate with one process"
        )


def check_training_options(cfg: DictConfig) -> None:
    """Check fairseq's options of training.

    Args:
        cfg: the configuration of the task, which has these options

    Raises:
        Refused: one would train or report something other than intended.
    """
    if cfg.max_valid_steps is not None:
        raise Refused(
            "--max-valid-steps would report the perplexity of part of the validation data as that "
            "of all of it, and select checkpoint_best.pt by it: leave it out"
        )
    if cfg.use_bmuf:
        raise Refused(
            "--use-bmuf trains a separate model on each process, and its checkpoints cannot hold the "
            "carried states: leave it out"
        )
    if cfg.store_ema:
        raise Refused(
            "--store-ema would decay a tied matrix twice in each update, and its average is not "
            "evaluated: give --averaging ema --averaging-decay 0.9999 (with --optimizer nt_asgd)"
        )


def check_window_options(cfg: RecurrentLanguageModelingConfig, sentences: bool) -> None:
    """Check the options that decide how a training text is cut into windows.

    Args:
        sentences: the sentences of the text are independent

    Raises:
        Refused: they contradict each other, or no window can have such a length
    """
    if cfg.independent_windows:
        reasons = {
            "--sample-break-mode eos, which already makes sentences independent": sentences,
            "--rotate-streams, which moves continuous streams": cfg.rotate_streams,
            "--bptt-variation, because independent windows have the same length": cfg.bptt_variation > 0,
            "--cuda-graphs, which replay steps with a carried state": cfg.cuda_graphs,
        }
        for reason, applies in reasons.items():
            if applies:
                raise Refused(f"--independent-windows cannot go with {reason}: leave one of them out")
    if sentences and cfg.rotate_streams:
        raise Refused(
            "--rotate-streams applies only to continuous text: independent sentences "
            "(--sample-break-mode eos) are shuffled in every epoch anyway; leave it out"
        )
    if cfg.bptt_variation and cfg.bptt_multiple > cfg.tokens_per_sample + cfg.bptt_max_delta:
        raise Refused(
            f"--bptt-multiple {cfg.bptt_multiple} is above the longest window, --tokens-per-sample "
            f"{cfg.tokens_per_sample} + --bptt-max-delta {cfg.bptt_max_delta}: lower it"
        )


def check_head_options(criterion: LMCrossEntropy, head: Head) -> None:
    """Check the options of a criterion and of an output layer that need something of the other.

    Raises:
        Refused: the other one lacks it
    """
    normaliser = getattr(head, "normaliser", "fixed")
    if normaliser != "fixed" and not criterion.takes_normaliser:
        raise Refused(
            f"--nce-z {normaliser} applies only to --criterion nce with --nce-loss nce: leave it out"
        )
    if criterion.output_l2 and not has_dense_matrix(head):
        raise Refused(
            "--output-l2 needs a softmax or a mixture of softmaxes whose matrix is not factorised, has dense "
            "gradients, and is whole on each process: leave it out, or leave out --output-rank, "
            "--sparse-embedding-grad and --split-vocabulary"
        )
