"""Search for the weights alpha and beta with the lowest word error rate on a development list."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from lm_plugins.rescoring.totals import ListScores
from lm_plugins.rescoring.word_errors import WordErrors

ALPHAS = (
    0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 5,
    10,
)  # fmt: skip
BETAS = (-10, -5, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10, 15, 20, 30, 50)


class Grid(NamedTuple):
    """Word error rates in percent, [A, B], of each alpha and beta."""

    alphas: Sequence[float]
    betas: Sequence[float]
    rates: ndarray

    def best(self) -> tuple[float, float, float]:
        """Return alpha, beta and their word error rate.

        Several points may have the lowest rate. The chosen one has the neighbours with the lowest mean rate:
        in the middle of a plateau the rate depends least on the development list.
        """
        index = np.where(self.rates == self.rates.min(), _smoothed(self.rates), np.inf).argmin()
        a, b = np.unravel_index(index, self.rates.shape)
        return self.alphas[a], self.betas[b], float(self.rates[a, b])


def search(
    scores: ListScores,
    errors: WordErrors,
    alphas: Sequence[float],
    betas: Sequence[float],
    progress: Callable[[], object] = lambda: None,
) -> Grid:
    """Return the word error rates of all pairs of `alphas` and `betas`; call `progress` after each alpha."""
    rates = np.empty((len(alphas), len(betas)))
    for row, alpha in zip(rates, alphas, strict=True):
        row[:] = [errors.rate(scores.best(alpha, beta)) for beta in betas]
        progress()
    return Grid(alphas, betas, rates)


def _smoothed(rates: ndarray) -> ndarray:
    """Return the mean over each point and its up to eight neighbours, [A, B]."""
    a, b = rates.shape
    return np.array(
        [[rates[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean() for j in range(b)] for i in range(a)]
    )
