"""The neural cache, compared with a loop over words and a one-hot history, as in awd-lstm-lm's pointer.py."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import Group, Work
from lm_plugins.evaluation.neural_cache import NeuralCache

THETA, WIDTH, VOCABULARY, WORDS = 0.66, 400, 10_000, 100


def text(window: int, words: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Return states, [N, C], and words, [N]: a history of `window`, then `words` to score."""
    count = window + words
    return torch.randn(count, WIDTH) / WIDTH**0.5, torch.randint(vocabulary, (count,))


def one_hot_loop(window: int, words: int, vocabulary: int) -> Work:
    """Prepare awd-lstm-lm's loop: V numbers for each word of the history, all summed at each word."""
    states, targets = text(window, words, vocabulary)

    def score() -> None:
        history = F.one_hot(targets, vocabulary).float()
        for t in range(window, window + words):
            with torch.no_grad():
                attention = torch.softmax(THETA * (states[t - window : t] @ states[t]), dim=0).unsqueeze(1)
                (attention.expand(-1, vocabulary) * history[t - window : t]).sum(0)[targets[t]].log()

    return score


def blocked(window: int, words: int, vocabulary: int) -> Work:
    """Prepare the cache of this package, which also scores the words of the history while it fills."""
    states, targets = (tensor.unsqueeze(1) for tensor in text(window, words, vocabulary))

    def score() -> None:
        cache = NeuralCache((window,), (THETA,))
        for block in zip(states.split(100), targets.split(100), strict=True):
            cache.log_prob(*block)

    return score


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for each size of the cache."""
    for window in (7,) if quick else (500, 2000, 3785):
        size = (window, 5 if quick else WORDS, 20 if quick else VOCABULARY)
        cases = {
            "one-hot history, word by word": partial(one_hot_loop, *size),
            "ours": partial(blocked, *size),
        }
        yield Group(f"neural cache, W {window}, V {size[2]:,}", cases, words=size[1])
