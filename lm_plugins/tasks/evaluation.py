"""Serve fairseq-eval-lm."""

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lm_plugins.checkpoints import check_unchanged
from lm_plugins.data.streams import Streams, contiguous, overlapping, sentences
from lm_plugins.data.text_sizes import text_sizes
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheSettings, cache_settings
from lm_plugins.evaluation.compose import Rates
from lm_plugins.evaluation.dynamic_evaluation import gradient_rms
from lm_plugins.evaluation.dynamic_options import DynamicSettings, dynamic_settings
from lm_plugins.evaluation.evaluate import mean_losses
from lm_plugins.evaluation.fairseq_pass import FairseqPass
from lm_plugins.evaluation.grid_search import best_rates
from lm_plugins.evaluation.interpolation_options import InterpolationSettings, interpolation_settings
from lm_plugins.evaluation.options import check_options, warm_up
from lm_plugins.evaluation.outputs import check_outputs
from lm_plugins.evaluation.report import Report
from lm_plugins.evaluation.results_file import identified
from lm_plugins.evaluation.windows import EvaluationWindows
from lm_plugins.tasks.config import RecurrentLanguageModelingConfig
from lm_plugins.tasks.interpolation import mixture

logger = logging.getLogger(__name__)

RMS_STREAMS = 100  # streams of training data for the gradient RMS, at most


class EvaluationMixin:
    """Serve fairseq-eval-lm.

    For a task with a `cfg`, a `decoder`, a `dictionary`, `folders`, a `level`, a `version`, ``read`` and
    ``stream_windows``.
    """

    def eval_lm_dataloader(
        self,
        dataset: TokenStream,
        batch_size: int | None = None,
        num_shards: int = 1,
        context_window: int = 0,
        **kwargs: Any,
    ) -> FairseqPass:
        """Return the batches that fairseq-eval-lm scores; see :class:`FairseqPass`.

        The grid of dynamic evaluation is searched first, and the other models of an interpolation score the
        text first, in separate passes.
        """
        self.set_matmul_precision()
        cfg, subset = self.cfg, dataset.split
        is_named = cfg.results_path or cfg.interpolate_with or cfg.interpolate_ngram
        checkpoint = identified(cfg.checkpoint_path) if is_named else None
        if cfg.checkpoint_path:
            check_unchanged(cfg.checkpoint_path, self.version)
        check_program(num_shards, context_window)
        if subset == cfg.train_subset:
            check_folders(subset, self.folders)
        cache, dynamic = cache_settings(cfg), dynamic_settings(cfg)
        interpolation = interpolation_settings(cfg, cfg.checkpoint_path)
        check_options(cfg, cache, dynamic, batch_size, interpolation)
        check_warm_up(cfg)
        check_outputs(cfg.results_path, subset, cache, interpolation, cfg.checkpoint_path)
        warn_of_tuning_on_test(subset, cache, dynamic, interpolation)
        count = batch_size or cfg.eval_streams
        windows = self.evaluation_windows(dataset, self.evaluation_layout(dataset, count, cache), count)
        rates = None if dynamic is None else self.rates(windows, dynamic, cache)
        sizes = text_sizes(self.folders[0], subset, self.level, len(dataset))
        report = Report(subset, *sizes, cfg.results_path, checkpoint)
        mixed = None
        if interpolation is not None:
            models = (checkpoint, self.decoder, self.dictionary, self.folders[0])
            mixed = mixture(interpolation, *models, windows)
        return FairseqPass(self.decoder, windows, cache, rates, report, mixed)

    def evaluation_layout(
        self, dataset: TokenStream, count: int, cache: CacheSettings | None
    ) -> Callable[[int], Streams]:
        """Return the function that lays the text out in `count` streams."""
        if self.cfg.eval_streams > 1:
            return overlapping(dataset, count, warm_up(self.cfg, cache))
        if self.decoder.independent_sentences:
            return sentences(dataset, count)
        return contiguous(dataset, count)

    def evaluation_windows(
        self, dataset: TokenStream, layout: Callable[[int], Streams], count: int
    ) -> EvaluationWindows:
        streams = self.stream_windows(dataset, layout, range(count))
        return EvaluationWindows(streams, self.cfg.tokens_per_sample, self.dictionary.unk())

    def rates(
        self, windows: EvaluationWindows, dynamic: DynamicSettings, cache: CacheSettings | None
    ) -> Rates:
        """Return the rates of dynamic evaluation, the best ones on `windows` where there are several."""
        check_precision(self.decoder)
        rms = self.gradient_rms(dynamic) if dynamic.rms else None
        return best_rates(self.decoder, windows, dynamic, cache, rms)

    def gradient_rms(self, dynamic: DynamicSettings) -> Sequence[Tensor]:
        """Return the root mean square of the gradients on windows of the training data."""
        parameters = list(self.decoder.parameters())
        count = f"{dynamic.batches:,}" if dynamic.batches else "all"
        logger.info(f"computing the gradient RMS on {count} windows of the training data")
        corpus = self.read(self.folders[0], self.cfg.train_subset, combine=True)
        count = max(1, min(RMS_STREAMS, len(corpus) // self.cfg.tokens_per_sample))
        windows = self.evaluation_windows(corpus, contiguous(corpus, count), count)
        losses = mean_losses(self.decoder, itertools.islice(windows, dynamic.batches or None))
        return gradient_rms(parameters, losses)


def check_program(num_shards: int, context_window: int) -> None:
    """Refuse flags with which fairseq-eval-lm would print something other than the perplexity.

    Raises:
        Refused: there are several shards, or a context window
    """
    if context_window > 0:
        raise Refused(
            "--context-window scores overlapping windows, but the recurrent state already carries "
            "the whole context: leave it out"
        )
    if num_shards > 1:
        raise Refused(
            f"fairseq-eval-lm with {num_shards} shards or processes would print the perplexity of only "
            "one shard: evaluate with one process and without --num-shards"
        )


def check_folders(subset: str, folders: Sequence[str]) -> None:
    """Refuse the training text of several folders, of which fairseq-eval-lm reads the first one alone.

    Raises:
        Refused: there are several folders
    """
    if len(folders) > 1:
        raise Refused(
            f"the subset '{subset}' is in {len(folders)} data folders, of which fairseq-eval-lm would read "
            f"{folders[0]} alone: evaluate each folder by itself"
        )


def check_warm_up(cfg: RecurrentLanguageModelingConfig) -> None:
    """Refuse a warm-up of streams whose windows each start from zeros.

    Raises:
        Refused: there are several streams of independent windows
    """
    if cfg.independent_windows and cfg.eval_streams > 1:
        raise Refused(
            "--independent-windows has no state that the streams of --eval-streams could warm up: leave "
            "out --eval-streams"
        )


def warn_of_tuning_on_test(
    subset: str,
    cache: CacheSettings | None,
    dynamic: DynamicSettings | None,
    interpolation: InterpolationSettings | None,
) -> None:
    """Warn if one of the settings is searched on a test set."""
    searches = (
        cache and cache.grid_file,
        dynamic and dynamic.is_grid,
        interpolation and interpolation.file,
    )
    if "test" in subset and any(searches):
        logger.warning(
            f"WARNING: hyper-parameters tuned on '{subset}' must not be used to report results on "
            "it: tune on valid, then evaluate test with the values found"
        )


def check_precision(decoder: nn.Module) -> None:
    """Refuse dynamic evaluation in float16.

    Raises:
        Refused: a parameter is in float16
    """
    if any(p.dtype == torch.float16 for p in decoder.parameters()):
        raise Refused("the weight changes of dynamic evaluation are too small for float16: leave out --fp16")
