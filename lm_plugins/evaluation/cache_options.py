"""The neural cache's options of fairseq-eval-lm."""

import json
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from fairseq.dataclass import FairseqDataclass

from lm_plugins.errors import Refused
from lm_plugins.ranges import PROBABILITY, at_least, check, check_config

# The grid of --cache-tune.
WINDOWS = (100, 500, 1000, 2000, 4000)
THETAS = (0.0, 0.2, 0.45, 0.66, 0.8, 1.0, 1.3, 1.7, 2.2, 2.8, 3.6)
LAMBDAS = (0.02, 0.05, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5)


@dataclass
class CacheConfig(FairseqDataclass):
    cache_window: Optional[int] = field(
        default=None,
        metadata={
            "range": at_least(0),
            "help": "evaluate with a neural cache of this many preceding tokens, at least 0; 0: all of "
            "them; default: no cache (awd-lstm-lm: window, 500 on PTB and 3785 on WikiText-2)",
        },
    )
    cache_theta: Optional[float] = field(
        default=None,
        metadata={
            "range": at_least(0),
            "help": "sharpness of the cache distribution, at least 0; 0: uniform; larger: more peaked "
            "(awd-lstm-lm: theta, 1.0 on PTB and 0.662 on WikiText-2)",
        },
    )
    cache_lambda: Optional[float] = field(
        default=None,
        metadata={
            "range": PROBABILITY,
            "help": "interpolation weight of the cache, in [0, 1) (awd-lstm-lm: lambdasm, 0.1 on PTB and "
            "0.1279 on WikiText-2)",
        },
    )
    cache_tune: Optional[str] = field(
        default=None,
        metadata={
            "help": "search for the best theta, lambda and window (unless --cache-window is given) in one "
            "pass over the validation set, log a table, write the results to this file as JSON, and plot "
            "them in a PNG file of the same name"
        },
    )
    cache_from: Optional[str] = field(
        default=None, metadata={"help": "read window, theta and lambda from a FILE written by --cache-tune"}
    )


class CacheSettings(NamedTuple):
    """A cache, or a grid of caches to choose from."""

    windows: tuple[int | None, ...]  # None: all preceding tokens
    thetas: tuple[float, ...]
    weights: tuple[float, ...]
    grid_file: str | None = None  # where the results of a grid are written; None: one cache, no grid


def cache_settings(cfg: CacheConfig) -> CacheSettings | None:
    """Return the cache that the options ask for, or None.

    Raises:
        Refused: numbers are out of range, missing, or given twice
    """
    check_config(cfg, CacheConfig)
    if cfg.cache_tune:
        return _grid(cfg)
    numbers = (cfg.cache_window, cfg.cache_theta, cfg.cache_lambda)
    if cfg.cache_from:
        if numbers != (None, None, None):
            raise Refused(
                "--cache-from already sets window, theta and lambda: leave out the other --cache flags"
            )
        numbers = _read(cfg.cache_from)
    if numbers == (None, None, None):
        return None
    if None in numbers:
        raise Refused(
            "a cache needs --cache-window, --cache-theta and --cache-lambda: give all three, or run "
            "--cache-tune FILE on the validation set and then give --cache-from FILE"
        )
    window, theta, weight = numbers
    check("--cache-theta", theta, at_least(0))
    check("--cache-lambda", weight, PROBABILITY)
    return CacheSettings((window or None,), (theta,), (weight,))


def _grid(cfg: CacheConfig) -> CacheSettings:
    if cfg.cache_from or cfg.cache_theta is not None or cfg.cache_lambda is not None:
        raise Refused(
            "--cache-tune searches for theta and lambda: leave out --cache-theta, --cache-lambda and "
            "--cache-from"
        )
    windows = WINDOWS if cfg.cache_window is None else (cfg.cache_window or None,)
    return CacheSettings(windows, THETAS, LAMBDAS, cfg.cache_tune)


def _read(path: str) -> tuple[int, float, float]:
    try:
        with open(path) as file:
            saved = json.load(file)
        numbers = int(saved["window"]), float(saved["theta"]), float(saved["lambda"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Refused(
            f"{path} does not hold the window, theta and lambda of a cache ({error}): give a file written by "
            "--cache-tune"
        ) from error
    check(f"the window of {path}", numbers[0], at_least(0))
    return numbers
