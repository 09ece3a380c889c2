"""The options of dynamic evaluation."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from lm_plugins.errors import Refused
from lm_plugins.ranges import above, at_least, check_config


@dataclass
class DynamicEvaluationConfig(FairseqDataclass):
    dynamic_evaluation: ChoiceEnum(["none", "sgd", "rms"]) = field(
        default="none",
        metadata={
            "help": "adapt the model to each window of --tokens-per-sample tokens (Krause et al. 2018: 5) "
            "after scoring it; sgd: by SGD; rms: by SGD scaled by the RMS of the gradients on the training "
            "data"
        },
    )
    dynamic_lr: str = field(
        default="1e-4",
        metadata={
            "help": "learning rate of dynamic evaluation, at least 0 (Krause et al. 2018, rms: 3e-5 to 1e-4 "
            "for windows of 5 tokens; in proportion for longer ones); comma-separated values are searched as "
            "a grid"
        },
    )
    dynamic_decay: str = field(
        default="2e-3",
        metadata={
            "help": "decay rate towards the trained weights, at least 0 (lambda; Krause et al. 2018, rms: "
            "1e-3 to 5e-3 for windows of 5 tokens; in proportion for longer ones); comma-separated values "
            "are searched as a grid"
        },
    )
    dynamic_epsilon: float = field(
        default=1e-5,
        metadata={
            "range": above(0),
            "help": "constant added to the gradient RMS, above 0; rms only (epsilon)",
        },
    )
    dynamic_batches: int = field(
        default=200,
        metadata={
            "range": at_least(0),
            "help": "number of windows of training data, at least 0, read in up to 100 streams, from which "
            "the gradient RMS is computed; 0: all windows (Krause et al. 2018); rms only",
        },
    )


class DynamicSettings(NamedTuple):
    """Dynamic evaluation, or a grid of learning rates and decays to choose from."""

    rms: bool  # else sgd
    lrs: list[float]
    decays: list[float]
    epsilon: float
    batches: int  # windows of training data for the gradient RMS; 0: all

    @property
    def is_grid(self) -> bool:
        return len(self.lrs) * len(self.decays) > 1


def dynamic_settings(cfg: DynamicEvaluationConfig) -> DynamicSettings | None:
    """Return the dynamic evaluation that the options ask for, or None.

    Raises:
        Refused: a number is out of range
    """
    lrs = numbers(cfg.dynamic_lr, "--dynamic-lr")
    decays = numbers(cfg.dynamic_decay, "--dynamic-decay")
    check_config(cfg, DynamicEvaluationConfig)
    kind = str(cfg.dynamic_evaluation)
    if kind == "none":
        return None
    return DynamicSettings(kind == "rms", lrs, decays, cfg.dynamic_epsilon, cfg.dynamic_batches)


def numbers(text: str, flag: str) -> list[float]:
    """Return the comma-separated numbers of `flag`.

    Raises:
        Refused: one is not a finite number of at least 0
    """
    try:
        values = [float(item) for item in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise Refused(f"{flag} is {text}: give one or more comma-separated numbers of at least 0")
    return values
