"""The options of interpolation in fairseq-eval-lm."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from fairseq.dataclass import FairseqDataclass
from fairseq.utils import split_paths

from lm_plugins.errors import Refused
from lm_plugins.evaluation.dynamic_options import numbers
from lm_plugins.files import sha256

TOLERANCE = 1e-5  # of the sum of the weights, which --interpolate-tune prints with 6 digits


@dataclass
class InterpolationConfig(FairseqDataclass):
    interpolate_with: Optional[str] = field(
        default=None,
        metadata={
            "help": "mix the probabilities of the model with those of other checkpoints, separated by "
            "colons; --path a:b:c is the short form of --path a --interpolate-with b:c"
        },
    )
    interpolate_ngram: Optional[str] = field(
        default=None,
        metadata={
            "help": "mix in the probabilities of an n-gram model: a file in ARPA format or in KenLM's binary "
            "format, estimated on the same tokens with one sentence per line (needs pip install '.[ngram]')"
        },
    )
    interpolate_weights: Optional[str] = field(
        default=None,
        metadata={
            "help": "comma-separated weights of --path, of each model of --interpolate-with, and of "
            "--interpolate-ngram, in this order; each at least 0, with the sum 1; default: equal weights"
        },
    )
    interpolate_tune: Optional[str] = field(
        default=None,
        metadata={
            "help": "find the weights with the lowest perplexity on the validation set by EM, in one pass of "
            "each model; log them, and write them to FILE as JSON"
        },
    )
    interpolate_from: Optional[str] = field(
        default=None, metadata={"help": "read the weights from a FILE written by --interpolate-tune"}
    )


class InterpolationSettings(NamedTuple):
    """The models to interpolate, K with the first, and their weights."""

    checkpoints: tuple[str, ...]  # all but the first
    ngram: str | None
    weights: tuple[float, ...] | None  # of all K; None: tune them
    file: str | None = None  # where tuned weights are written

    @property
    def others(self) -> list[str]:
        """The paths of all models but the first."""
        return [*self.checkpoints, *([self.ngram] if self.ngram else [])]


def interpolation_settings(cfg: InterpolationConfig, first: str | None) -> InterpolationSettings | None:
    """Return the interpolation that the options ask for, or None.

    Args:
        first: path of the first model

    Raises:
        Refused: the weights are out of range, given twice, of other models, there is only one model, or one
            does not exist
    """
    checkpoints = tuple(split_paths(cfg.interpolate_with)) if cfg.interpolate_with else ()
    settings = InterpolationSettings(checkpoints, cfg.interpolate_ngram or None, None)
    sources = {
        "--interpolate-weights": cfg.interpolate_weights,
        "--interpolate-tune": cfg.interpolate_tune,
        "--interpolate-from": cfg.interpolate_from,
    }
    typed = [flag for flag, value in sources.items() if value is not None]
    if len(typed) > 1:
        raise Refused(f"{' and '.join(typed)} both set the weights: give one of them")
    if not settings.others:
        if typed:
            raise Refused(
                f"{typed[0]} has no effect on a single model: give several with --path a:b, or an n-gram "
                "model with --interpolate-ngram"
            )
        return None
    for path in (first or "", *settings.others) if cfg.interpolate_from else settings.others:
        if not os.path.isfile(path):
            raise Refused(f"there is no model '{path}' to interpolate: give the path of one that exists")
    if cfg.interpolate_tune is not None:
        return settings._replace(file=cfg.interpolate_tune)
    count = 1 + len(settings.others)
    if cfg.interpolate_from is not None:
        weights = _read(cfg.interpolate_from, [first, *settings.others])
        return settings._replace(weights=_checked(weights, count, f"the weights of {cfg.interpolate_from}"))
    if cfg.interpolate_weights is not None:
        weights = numbers(cfg.interpolate_weights, "--interpolate-weights")
        return settings._replace(weights=_checked(weights, count, "--interpolate-weights"))
    return settings._replace(weights=(1 / count,) * count)


def _checked(weights: Sequence[float], count: int, name: str) -> tuple[float, ...]:
    """Return `weights` with the sum 1; those of --interpolate-tune are left as they were written."""
    shown = ",".join(f"{weight:g}" for weight in weights)
    if len(weights) != count:
        raise Refused(f"{name} {shown}: give one weight for each of the {count} models")
    if not (min(weights) >= 0 and abs(sum(weights) - 1) <= TOLERANCE):  # NaN is not a weight either
        raise Refused(f"{name} {shown}: give numbers of at least 0 with the sum 1, not {sum(weights):g}")
    total = math.fsum(weights)
    if abs(total - 1) < 1e-12:  # a division would change the last digits
        return tuple(weights)
    return tuple(weight / total for weight in weights)


def _read(path: str, models: Sequence[str]) -> list[float]:
    """Return the weights in a file of --interpolate-tune, which must be of the same `models` by content."""
    try:
        with open(path) as file:
            saved = json.load(file)["models"]
        weights, digests = [float(one["weight"]) for one in saved], [one["sha256"] for one in saved]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Refused(
            f"{path} does not hold the weights of models ({error}): give a file written by --interpolate-tune"
        ) from error
    if digests != [sha256(model) for model in models]:
        raise Refused(
            f"{path} holds the weights of other models, or of these in another order: tune them with "
            "--interpolate-tune, or type them with --interpolate-weights"
        )
    return weights
