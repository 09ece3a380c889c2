"""The totals of hypotheses, and the hypotheses that they choose.

    total = first pass + alpha ln p + beta words

ln p is that of the language model in nats, ``</s>`` included, and words is the number of words.
"""

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from lm_plugins.rescoring.nbest import NBest


class ListScores(NamedTuple):
    """The scores of U lists of up to N hypotheses, [U, N] each, and -inf where a list has fewer."""

    first_pass: ndarray
    log_prob: ndarray  # of the language model, in nats
    words: ndarray

    def totals(self, alpha: float, beta: float) -> ndarray:
        """Return the totals, [U, N]."""
        return self.first_pass + alpha * self.log_prob + beta * self.words

    def best(self, alpha: float, beta: float) -> ndarray:
        """Return the index of the first hypothesis with the highest total in each list, [U]."""
        return self.totals(alpha, beta).argmax(1)


def padded(values: list[list[float]] | list[ndarray], fill: float) -> ndarray:
    """Return lists of different lengths as one array, [U, N]."""
    out = np.full((len(values), max(map(len, values))), fill, dtype=np.float64)
    for row, value in zip(out, values, strict=True):
        row[: len(value)] = value
    return out


def list_scores(lists: list[NBest], log_probs: list[list[float]]) -> ListScores:
    """Return the scores of `lists`, whose hypotheses have these ln p."""
    first_pass = [[hypothesis.first_pass for hypothesis in nbest.hypotheses] for nbest in lists]
    words = [[float(hypothesis.words) for hypothesis in nbest.hypotheses] for nbest in lists]
    return ListScores(padded(first_pass, -np.inf), padded(log_probs, 0.0), padded(words, 0.0))
