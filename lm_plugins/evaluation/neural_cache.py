"""The neural cache of a text, carried from window to window, and its mixture with a model.

Source: Grave, Joulin and Usunier (2016, arXiv:1612.04426), who call it the continuous cache. The equation is
in :mod:`lm_plugins.ops.neural_cache`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lm_plugins.ops.neural_cache import BLOCK, neural_cache


class NeuralCache:
    """The pairs of a state and the next word that each stream has seen.

    The cache can answer for several windows and thetas at once, which share the products of states.

    Args:
        windows: how many pairs to look back, one number for each window; None: all pairs
        thetas: sharpness of the distribution
        block: number of products of states held in memory at a time
    """

    def __init__(self, windows: Sequence[int | None], thetas: Sequence[float], block: int = BLOCK) -> None:
        self.windows, self.thetas, self.block = windows, thetas, block
        self.longest = None if None in windows else max(windows)
        self.keys: Tensor | None = None  # [capacity, B, C]
        self.words: Tensor | None = None  # [capacity, B]
        self.count = 0

    def log_prob(self, states: Tensor, target: Tensor) -> Tensor:
        """Return ln p_cache(target) in nats, [m, n, T, B] for m windows and n thetas, and remember the pairs.

        A state sees the pairs before it. The result is -inf where the cache has not seen the target, and NaN
        where the cache is empty. Half-precision states are converted to float32.

        Args:
            states: h_t, [T, B, C]
            target: the words that follow them, [T, B]
        """
        states = states.float() if states.dtype in (torch.float16, torch.bfloat16) else states
        past = self._remembered()
        self._append(states, target)
        pairs = slice(self.count - past - len(states), self.count)
        log_prob = neural_cache(
            states, target, self.keys[pairs], self.words[pairs], self.thetas, self.windows, self.block
        )
        if past == 0:
            log_prob[:, :, 0] = torch.nan
        return log_prob

    def _remembered(self) -> int:
        """Return how many of the pairs so far the longest window reaches."""
        return self.count if self.longest is None else min(self.count, self.longest)

    def _append(self, states: Tensor, target: Tensor) -> None:
        needed = self.count + len(states)
        if self.keys is None or needed > len(self.keys):
            past = self._remembered()
            capacity = max(2 * (past + len(states)), 1024)
            keys = states.new_empty(capacity, *states.shape[1:])
            words = target.new_empty(capacity, target.size(1))
            if past:
                keys[:past] = self.keys[self.count - past : self.count]
                words[:past] = self.words[self.count - past : self.count]
            self.keys, self.words, self.count = keys, words, past
            needed = past + len(states)
        self.keys[self.count : needed], self.words[self.count : needed] = states, target
        self.count = needed


def mixed(log_prob: Tensor, log_cache: Tensor, weight: float) -> Tensor:
    """Return ln((1 - weight) p + weight p_cache), or ln p where the cache is empty (NaN)."""
    if weight == 0:
        return log_prob
    empty = log_cache.isnan()
    log_cache = torch.where(empty, 0.0, log_cache)  # a NaN would spread to the gradient of log_prob
    both = torch.logaddexp(log_prob + math.log1p(-weight), log_cache + math.log(weight))
    return torch.where(empty, log_prob, both)
