"""The neural cache, against a loop over words with a one-hot history as in awd-lstm-lm's pointer.py."""

from functools import partial

import torch
from torch.nn import functional as F

from benchmarks.measure import Group
from lm_plugins.evaluation.neural_cache import NeuralCache

THETA, WIDTH, VOCABULARY, WORDS = 0.66, 400, 10_000, 100


def text(window, words, vocabulary):
    """States and words: a history of `window`, and `words` to score."""
    count = window + words
    return torch.randn(count, WIDTH) / WIDTH**0.5, torch.randint(vocabulary, (count,))


def one_hot_loop(window, words, vocabulary):
    """The history holds V numbers for each word, and each word sums over all of them."""
    states, targets = text(window, words, vocabulary)

    def score():
        history = F.one_hot(targets, vocabulary).float()
        for t in range(window, window + words):
            with torch.no_grad():
                attention = torch.softmax(THETA * (states[t - window : t] @ states[t]), dim=0).unsqueeze(1)
                (attention.expand(-1, vocabulary) * history[t - window : t]).sum(0)[targets[t]].log()

    return score


def blocked(window, words, vocabulary):
    """It scores the history too, while it fills."""
    states, targets = (part.unsqueeze(1) for part in text(window, words, vocabulary))

    def score():
        cache = NeuralCache((window,), (THETA,))
        for part in zip(states.split(100), targets.split(100), strict=True):
            cache.log_prob(*part)

    return score


def groups(quick):
    for window in (7,) if quick else (500, 2000, 3785):
        size = (window, 5 if quick else WORDS, 20 if quick else VOCABULARY)
        cases = {
            "one-hot history, word by word": partial(one_hot_loop, *size),
            "ours": partial(blocked, *size),
        }
        yield Group(f"neural cache, W {window}, V {size[2]:,}", cases, words=size[1])
