"""The pass over a text whose perplexity fairseq-eval-lm prints."""

import logging
import time
from collections.abc import Iterator
from typing import Any

from torch import nn

from lm_plugins.evaluation import cache_report, interpolation_report
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.cache_tuning import CacheGrid
from lm_plugins.evaluation.compose import Rates, composed_scorer
from lm_plugins.evaluation.interpolation import Mixture
from lm_plugins.evaluation.report import Report
from lm_plugins.evaluation.tally import TalliedScorer, Tally
from lm_plugins.evaluation.windows import EvaluationWindows

logger = logging.getLogger(__name__)


class FairseqPass:
    """The batches of `windows`, each of which carries the scorer to the model's forward.

    The program fairseq-eval-lm owns the loop: it reads a batch, starts its timer, calls the model with the
    batch's "net_input", and sums what the model returns into the perplexity that it prints. So the model's
    forward is the only place where a score enters fairseq's perplexity and its time, and the scorer
    has to travel there with the batch. Nothing is computed here: an iteration opens the scorer, hands out the
    batches, and closes the scorer.

    The official number is that of the tally, which sums in float64 and which the report prints. fairseq adds
    the same log-probabilities in float32 for a line of its own. A wrong count is refused at the end of the
    batches, the last moment before fairseq prints.

    Args:
        decoder: the model
        windows: of the text
        cache: a cache, or a grid of caches to choose from; None: no cache
        rates: of dynamic evaluation; None: the weights stay as they are
        report: of the tally
        mixture: models to interpolate with the model, its cache and dynamic evaluation included; None: none
    """

    def __init__(
        self,
        decoder: nn.Module,
        windows: EvaluationWindows,
        cache: CacheSettings | None,
        rates: Rates | None,
        report: Report,
        mixture: Mixture | None = None,
    ) -> None:
        self.decoder, self.windows, self.cache, self.rates = decoder, windows, cache, rates
        self.report, self.mixture = report, mixture

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        tally, began = Tally(), time.monotonic()
        grid = CacheGrid(self.cache) if self.cache and self.cache.grid_file else None
        with composed_scorer(self.decoder, self.cache, self.rates, grid) as scorer:
            if self.mixture is not None:
                scorer = self.mixture.scorer(scorer, self.windows.unk)
            tallied = TalliedScorer(scorer, tally, self.windows.unk)
            for batch in self.windows:
                yield {**batch, "net_input": {**batch["net_input"], "scorer": tallied}}
        seconds: float | None = time.monotonic() - began
        subset, expected = self.windows.subset, self.windows.targets
        tally.check(expected, subset)
        logger.info(f"scored {tally.targets:,} of {expected:,} targets of '{subset}'")
        parts: dict[str, Any] = {}
        if self.rates is not None:
            parts["dynamic"] = {"lr": self.rates.lr, "decay": self.rates.decay}
        if grid is not None:
            parts["cache"] = cache_report.report(grid, self.cache.grid_file, subset)
        if self.mixture is not None:
            parts["interpolation"] = interpolation_report.report(self.mixture, scorer, tally, subset)
            seconds = None  # it would leave out the passes of the other models
        self.report.finish(tally, seconds, parts)
