"""Unigram and interpolated bigram language models, the baselines for a neural model.

    p1(w)     = (c(w) + 1) / (N + V)
    p2(w | v) = lambda c(v, w) / c(v, .) + (1 - lambda) p1(w)

with counts c over the N tokens of the training text and V symbols that can occur. The unigram is smoothed by
adding one. The bigram is interpolated with a single weight lambda (Jelinek and Mercer 1980), which EM fits to
the validation text. After a history that never occurred, p2 is p1. Both sum to one over the symbols of the
dictionary except `<s>` and `<pad>`, which never occur.

A text is an array of symbol numbers, [N], as in the binarized corpus, with `</s>` after each line. Each token
is scored once, as in lm_plugins, and the history of the first token is `</s>`.
"""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray


class NgramBaseline:
    """Both models, counted on `train`; call :meth:`fit` before using the bigram.

    Args:
        train: training text, [N]
        symbols: number of symbols in the dictionary
        eos: number of `</s>`
        impossible: numbers of the symbols that never occur
    """

    def __init__(self, train: ndarray, symbols: int, eos: int, impossible: Sequence[int] = ()) -> None:
        self.symbols, self.eos, self.impossible = symbols, eos, list(impossible)
        self.unigrams = np.bincount(train, minlength=symbols)
        possible = symbols - len(self.impossible)
        self.p1 = (self.unigrams + 1) / (len(train) + possible)
        self.p1[self.impossible] = 0.0
        history = self.histories(train)
        self.history_counts = np.bincount(history, minlength=symbols)
        self.pairs, self.counts = np.unique(self.pair(history, train), return_counts=True)
        self.weight = 0.0

    def histories(self, text: ndarray) -> ndarray:
        """Return the token before each token of `text`."""
        return np.concatenate([[self.eos], text[:-1]])

    def pair(self, history: ndarray, word: ndarray) -> ndarray:
        """Return a number for each pair (v, w)."""
        return history.astype(np.int64) * self.symbols + word

    def bigram_estimate(self, history: ndarray, word: ndarray) -> ndarray:
        """Return c(v, w) / c(v, .) of arrays v and w; 0 where v never occurred."""
        pairs = self.pair(history, word)
        index = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        count = np.where(self.pairs[index] == pairs, self.counts[index], 0)
        return count / np.maximum(self.history_counts[history], 1)

    def bigram(self, history: ndarray, word: ndarray) -> ndarray:
        """Return p2(w | v) of arrays v and w."""
        weight = np.where(self.history_counts[history] > 0, self.weight, 0.0)
        return weight * self.bigram_estimate(history, word) + (1 - weight) * self.p1[word]

    def fit(self, valid: ndarray, steps: int = 50) -> "NgramBaseline":
        """Fit the interpolation weight by EM: the expected share of tokens that the bigram explains."""
        history = self.histories(valid)
        known = self.history_counts[history] > 0
        estimate = self.bigram_estimate(history, valid)[known]
        unigram = self.p1[valid][known]
        self.weight = 0.5
        for _ in range(steps):
            explained = self.weight * estimate
            self.weight = float(np.mean(explained / (explained + (1 - self.weight) * unigram)))
        return self

    def perplexities(self, text: ndarray) -> dict[str, float]:
        """Return {name: perplexity}, exp of the mean -ln p over the tokens of `text`."""
        probabilities = {
            "unigram": self.p1[text],
            "interpolated bigram": self.bigram(self.histories(text), text),
        }
        return {name: float(np.exp(-np.log(p).mean())) for name, p in probabilities.items()}
