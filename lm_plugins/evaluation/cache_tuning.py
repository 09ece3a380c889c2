"""Find the best window, theta and lambda of a neural cache in one pass over a text."""

from typing import NamedTuple

import torch
from torch import Tensor

from lm_plugins import metrics
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.neural_cache import NeuralCache, mixed
from lm_plugins.evaluation.scorers import Head, Scorer


class BestCache(NamedTuple):
    window: int  # 0: all preceding tokens
    theta: float
    weight: float  # lambda
    perplexity: float


class CacheGrid:
    """Sums of -ln p over the counted targets, in nats, for every triple of window, theta and lambda.

    The model runs once. All thetas share the products of states, and each lambda adds one mixture of two
    numbers for each target.

    Args:
        settings: the m windows, n thetas and k lambdas
    """

    def __init__(self, settings: CacheSettings) -> None:
        self.windows, self.thetas, self.weights = settings.windows, settings.thetas, settings.weights
        shape = len(self.windows), len(self.thetas), len(self.weights)
        self.nats = torch.zeros(shape, dtype=torch.float64)  # [m, n, k]
        self.nats_without_cache, self.targets = 0.0, 0

    def add(self, log_prob: Tensor, log_cache: Tensor, counted: Tensor) -> None:
        """Add the targets of a window.

        Args:
            log_prob: ln p of the model, [T, B]
            log_cache: ln p of the caches, [m, n, T, B]
            counted: True where a target counts, [T, B]
        """
        log_prob, log_cache = log_prob[counted], log_cache[:, :, counted]
        for index, weight in enumerate(self.weights):
            self.nats[:, :, index] -= mixed(log_prob, log_cache, weight).sum(-1, dtype=torch.float64).cpu()
        self.nats_without_cache -= float(log_prob.sum(dtype=torch.float64))
        self.targets += len(log_prob)

    def perplexities(self) -> Tensor:
        """Return the perplexity of each triple, [m, n, k]."""
        return (self.nats / self.targets).exp()

    @property
    def perplexity_without_cache(self) -> float:
        return metrics.perplexity(self.nats_without_cache, self.targets)

    def best(self) -> BestCache:
        """Return the triple with the lowest perplexity."""
        perplexities = self.perplexities()
        m, n, k = torch.unravel_index(perplexities.argmin(), perplexities.shape)
        perplexity = float(perplexities[m, n, k])
        return BestCache(self.windows[m] or 0, self.thetas[n], self.weights[k], perplexity)


class TuningScorer:
    """Returns what `inner` returns, and adds its mixtures with every cache to a grid."""

    def __init__(self, inner: Scorer, grid: CacheGrid) -> None:
        self.inner, self.grid = inner, grid
        self.cache = NeuralCache(grid.windows, grid.thetas)
        self.needs_graph = inner.needs_graph

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted)
        log_cache = self.cache.log_prob(features.detach(), target)
        self.grid.add(-nll.detach(), log_cache, counted)
        return nll
