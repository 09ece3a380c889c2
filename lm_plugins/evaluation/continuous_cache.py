"""The continuous cache of fairseq-eval-lm, carried from window to window."""

import json
import math
from dataclasses import dataclass, field
from typing import Optional

import torch
from fairseq.dataclass import FairseqDataclass

from lm_plugins.errors import Refused
from lm_plugins.ops.neural_cache import BLOCK, neural_cache


@dataclass
class CacheConfig(FairseqDataclass):
    cache_window: Optional[int] = field(
        default=None,
        metadata={
            "help": "evaluate with a continuous cache of this many preceding tokens; 0: all preceding "
            "tokens; default: no cache (awd-lstm-lm: window, 500 on PTB and 3785 on WikiText-2)"
        },
    )
    cache_theta: Optional[float] = field(
        default=None,
        metadata={
            "help": "flatness of the cache distribution, at least 0; 0: uniform, larger: more peaked "
            "(awd-lstm-lm: theta, 1.0 on PTB and 0.662 on WikiText-2)"
        },
    )
    cache_lambda: Optional[float] = field(
        default=None,
        metadata={
            "help": "interpolation weight of the cache, in [0, 1) (awd-lstm-lm: lambdasm, 0.1 on PTB and "
            "0.1279 on WikiText-2)"
        },
    )
    cache_tune: Optional[str] = field(
        default=None,
        metadata={
            "help": "search for the best theta, lambda and window (unless --cache-window is given) in one "
            "pass over the validation set: log a table, write the results to FILE (JSON) and a plot next to "
            "it (PNG)"
        },
    )
    cache_from: Optional[str] = field(
        default=None, metadata={"help": "read window, theta and lambda from a FILE written by --cache-tune"}
    )
    cache_block: int = field(
        default=BLOCK,
        metadata={"help": "number of products of hidden states held in memory at a time, at least 1"},
    )


def cache_numbers(cfg):
    """(window, theta, lambda), or None for no cache, or where it is to be tuned.

    Raises:
        Refused: numbers out of range, missing, or given twice.
    """
    typed = (cfg.cache_window, cfg.cache_theta, cfg.cache_lambda)
    if cfg.cache_block < 1:
        raise Refused(f"--cache-block is {cfg.cache_block}: it must be at least 1")
    if cfg.cache_window is not None and cfg.cache_window < 0:
        raise Refused(
            f"--cache-window is {cfg.cache_window}: give a number of tokens, or 0 for all preceding tokens"
        )
    if cfg.cache_tune:
        if cfg.cache_from or cfg.cache_theta is not None or cfg.cache_lambda is not None:
            raise Refused(
                "--cache-tune searches for theta and lambda: leave out --cache-theta, --cache-lambda and "
                "--cache-from"
            )
        return None
    if cfg.cache_from:
        if typed != (None, None, None):
            raise Refused(
                "--cache-from already sets window, theta and lambda: leave out the other --cache flags"
            )
        typed = _read(cfg.cache_from)
    if typed == (None, None, None):
        return None
    if None in typed:
        raise Refused(
            "a cache needs --cache-window, --cache-theta and --cache-lambda: give all three, or run "
            "--cache-tune FILE on the validation set and then give --cache-from FILE"
        )
    window, theta, weight = typed
    if not (math.isfinite(theta) and theta >= 0):
        raise Refused(f"--cache-theta is {theta}: it must be a finite number of at least 0")
    if not 0 <= weight < 1:
        raise Refused(f"--cache-lambda is {weight}: it must be at least 0 and below 1")
    return window, theta, weight


def _read(path):
    try:
        with open(path) as file:
            found = json.load(file)
        return int(found["window"]), float(found["theta"]), float(found["lambda"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{path} does not hold the window, theta and lambda of a cache ({error}): give a file written by "
            "--cache-tune"
        ) from error


class ContinuousCache:
    """The pairs of a state and the next word that each stream has seen.

    Args:
        windows: how far back to look, each a number of pairs or None for all
        thetas: to compute p for
        block: see :func:`neural_cache`
    """

    def __init__(self, windows, thetas, block=BLOCK):
        self.windows, self.thetas, self.block = windows, thetas, block
        self.keep = None if None in windows else max(windows)
        self.keys = self.words = None  # with room for more
        self.count = 0

    def log_prob(self, states, target):
        """ln p(target) under the pairs before each of `states` [T, B, C], [m, n, T, B]; then they join.

        -inf where the target was not seen, NaN where nothing was.
        """
        states = states.float() if states.dtype in (torch.float16, torch.bfloat16) else states
        past = self.count if self.keep is None else min(self.count, self.keep)
        self._append(states, target)
        pairs = slice(self.count - past - len(states), self.count)
        found = neural_cache(
            states, target, self.keys[pairs], self.words[pairs], self.thetas, self.windows, self.block
        )
        if past == 0:
            found[:, :, 0] = torch.nan
        return found

    def _append(self, states, target):
        needed = self.count + len(states)
        if self.keys is None or needed > len(self.keys):
            kept = self.count if self.keep is None else min(self.count, self.keep)
            room = max(2 * (kept + len(states)), 1024)
            keys, words = states.new_empty(room, *states.shape[1:]), target.new_empty(room, target.size(1))
            if kept:
                keys[:kept] = self.keys[self.count - kept : self.count]
                words[:kept] = self.words[self.count - kept : self.count]
            self.keys, self.words, self.count = keys, words, kept
            needed = kept + len(states)
        self.keys[self.count : needed], self.words[self.count : needed] = states, target
        self.count = needed


def mixed(log_prob, log_cache, weight):
    """ln((1 - weight) p + weight p_cache); ln p where the cache is empty."""
    if weight == 0:
        return log_prob
    both = torch.logaddexp(log_prob + math.log1p(-weight), log_cache + math.log(weight))
    return torch.where(log_cache.isnan(), log_prob, both)
