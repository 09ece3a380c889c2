"""Compose the scorer that the options ask for."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from torch import Tensor, nn

from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.cache_tuning import CacheGrid, TuningScorer
from lm_plugins.evaluation.dynamic_evaluation import dynamic_evaluation
from lm_plugins.evaluation.neural_cache import NeuralCache
from lm_plugins.evaluation.scorers import CachedScorer, DynamicScorer, ModelScorer, Scorer


class Rates(NamedTuple):
    """The numbers of dynamic evaluation; see :mod:`lm_plugins.evaluation.dynamic_evaluation`."""

    lr: float
    decay: float
    epsilon: float
    rms: Sequence[Tensor] | None  # None: sgd


@contextmanager
def composed_scorer(
    decoder: nn.Module,
    cache: CacheSettings | None = None,
    rates: Rates | None = None,
    grid: CacheGrid | None = None,
) -> Iterator[Scorer]:
    """Yield the model's scorer, wrapped in dynamic evaluation and an empty cache if they are asked for.

    The trained weights are restored when the block ends.

    Args:
        decoder: the model
        cache: the window, theta and lambda of a cache; None: no cache
        rates: of dynamic evaluation; None: the weights stay as they are
        grid: collects the sums for tuning a cache, in place of `cache`
    """
    with ExitStack() as stack:
        scorer = ModelScorer()
        if rates is not None:
            learner = stack.enter_context(dynamic_evaluation(decoder.parameters(), *rates))
            scorer = DynamicScorer(scorer, learner)
        if grid is not None:
            scorer = TuningScorer(scorer, grid)
        elif cache is not None and cache.weights[0] > 0:
            scorer = CachedScorer(scorer, NeuralCache(cache.windows, cache.thetas), cache.weights[0])
        yield scorer
