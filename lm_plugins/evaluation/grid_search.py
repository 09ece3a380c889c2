"""Search the learning rate and the decay of dynamic evaluation in a grid."""

import itertools
import logging
import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.compose import Rates, composed_scorer
from lm_plugins.evaluation.dynamic_evaluation import Diverged
from lm_plugins.evaluation.dynamic_options import DynamicSettings
from lm_plugins.evaluation.evaluate import evaluate
from lm_plugins.evaluation.windows import EvaluationWindows

logger = logging.getLogger(__name__)


def best_rates(
    decoder: nn.Module,
    windows: EvaluationWindows,
    dynamic: DynamicSettings,
    cache: CacheSettings | None,
    rms: Sequence[Tensor] | None,
) -> Rates:
    """Return the rates that `dynamic` names, or the best ones where it names several.

    The search has the same cache as the evaluation, or none where the cache is itself to be tuned.
    """
    if not dynamic.is_grid:
        return Rates(dynamic.lrs[0], dynamic.decays[0], dynamic.epsilon, rms)
    cache = None if cache is None or cache.grid_file else cache

    def perplexity(lr: float, decay: float) -> float:
        with composed_scorer(decoder, cache, Rates(lr, decay, dynamic.epsilon, rms)) as scorer:
            return evaluate(decoder, windows, scorer).perplexity

    return Rates(*grid_search(dynamic.lrs, dynamic.decays, perplexity), dynamic.epsilon, rms)


def grid_search(
    lrs: Sequence[float], decays: Sequence[float], perplexity: Callable[[float, float], float]
) -> tuple[float, float]:
    """Return the (lr, decay) with the lowest ``perplexity(lr, decay)``, and log all as a table.

    A point at which dynamic evaluation diverges counts as infinite.

    Raises:
        Diverged: at every point
    """
    table = {}
    logger.info("lr \\ decay    " + "".join(f"{decay:10g}" for decay in decays))
    for lr, decay in itertools.product(lrs, decays):
        try:
            table[lr, decay] = perplexity(lr, decay)
        except Diverged:
            table[lr, decay] = math.inf
        if decay == decays[-1]:
            logger.info(f"{lr:14g}" + "".join(f"{table[lr, d]:10.2f}" for d in decays))
    lr, decay = min(table, key=table.get)
    if not math.isfinite(table[lr, decay]):
        raise Diverged(
            "dynamic evaluation diverged at every point of the grid: give lower values of --dynamic-lr"
        )
    logger.info(
        f"best: --dynamic-lr {lr:g} --dynamic-decay {decay:g} gives perplexity {table[lr, decay]:.2f}"
    )
    return lr, decay
