"""Unigram and interpolated bigram language models: what a neural one has to beat.

    p1(w)     = (c(w) + 1) / (N + V)
    p2(w | v) = lambda c(v, w) / c(v, .) + (1 - lambda) p1(w)

with counts c over the N tokens of the training text and V symbols that can occur; the unigram is
add-one smoothed, the bigram interpolated with one weight (Jelinek and Mercer 1980), which EM fits to
the validation text. After a history that never occurred p2 is p1. Both sum to one over the symbols of
the dictionary, less `<s>` and `<pad>`, which no text holds.

A text is a numpy array of symbol numbers, as the binarized corpus has it, `</s>` after each line. As
in lm_plugins each of its tokens is scored once, the first one after `</s>`.
"""

import numpy as np


class NgramBaseline:
    """Both models, counted on `train`; call :meth:`fit` before the bigram is used."""

    def __init__(self, train, symbols, eos, impossible=()):
        self.symbols, self.eos, self.impossible = symbols, eos, list(impossible)
        self.unigrams = np.bincount(train, minlength=symbols)
        possible = symbols - len(self.impossible)
        self.p1 = (self.unigrams + 1) / (len(train) + possible)
        self.p1[self.impossible] = 0.0
        history = self.histories(train)
        self.after = np.bincount(history, minlength=symbols)
        self.pairs, self.counts = np.unique(self.pair(history, train), return_counts=True)
        self.weight = 0.0

    def histories(self, text):
        return np.concatenate([[self.eos], text[:-1]])

    def pair(self, history, word):
        return history.astype(np.int64) * self.symbols + word

    def bigram_estimate(self, history, word):
        """c(v, w) / c(v, .), 0 where v never occurred, of arrays v and w."""
        pairs = self.pair(history, word)
        at = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        count = np.where(self.pairs[at] == pairs, self.counts[at], 0)
        return count / np.maximum(self.after[history], 1)

    def bigram(self, history, word):
        """p2(w | v) of arrays v and w."""
        weight = np.where(self.after[history] > 0, self.weight, 0.0)
        return weight * self.bigram_estimate(history, word) + (1 - weight) * self.p1[word]

    def fit(self, valid, steps=50):
        """EM for the interpolation weight: the expected share of tokens that the bigram explains."""
        history = self.histories(valid)
        known = self.after[history] > 0
        estimate = self.bigram_estimate(history, valid)[known]
        unigram = self.p1[valid][known]
        self.weight = 0.5
        for _ in range(steps):
            explained = self.weight * estimate
            self.weight = float(np.mean(explained / (explained + (1 - self.weight) * unigram)))
        return self

    def perplexities(self, text):
        """{name: exp of the mean -ln p over the tokens of `text`}."""
        probabilities = {
            "unigram": self.p1[text],
            "interpolated bigram": self.bigram(self.histories(text), text),
        }
        return {name: float(np.exp(-np.log(p).mean())) for name, p in probabilities.items()}
