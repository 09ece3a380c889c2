"""One evaluation by fairseq-eval-lm: what is computed for a window, and what is said at the end."""

import itertools
import logging
import time
from dataclasses import dataclass, field
from typing import Optional

import torch
from fairseq import utils
from omegaconf import II

from lm_plugins.errors import Refused
from lm_plugins.evaluation import dynamic_evaluation as dynamic
from lm_plugins.evaluation import report
from lm_plugins.evaluation.cache_tuning import WINDOWS, CacheTuning
from lm_plugins.evaluation.continuous_cache import CacheConfig, ContinuousCache, cache_numbers, mixed
from lm_plugins.evaluation.scored_windows import ScoredWindows

logger = logging.getLogger(__name__)

HOPELESS = 100.0  # nats a word: a model that learns has diverged
WARM_UP = 1000  # tokens; the state of a stream has forgotten how it began long before


@dataclass
class EvaluationConfig(CacheConfig, dynamic.DynamicEvaluationConfig):
    eval_streams: int = field(
        default=1,
        metadata={
            "help": "evaluate in this many parallel streams, each of which first reads tokens before its own "
            "so that the perplexity is that of one stream"
        },
    )
    eval_warmup: int = field(
        default=WARM_UP,
        metadata={"help": "tokens that each stream of --eval-streams reads first; at least the cache window"},
    )
    results_path: Optional[str] = II("common_eval.results_path")
    checkpoint_path: Optional[str] = II("common_eval.path")
    post_process: Optional[str] = II("common_eval.post_process")


DEFAULTS = EvaluationConfig()
FLAGS = [
    name
    for name in EvaluationConfig.__dataclass_fields__
    if name.split("_")[0] in ("cache", "dynamic", "eval")
]


def refuse_flags(cfg):
    """For all programs but fairseq-eval-lm, which would ignore them."""
    for name in FLAGS:
        if str(getattr(cfg, name)) != str(getattr(DEFAULTS, name)):
            raise Refused(f"--{name.replace('_', '-')} is for fairseq-eval-lm alone: leave it out")


class Evaluator:
    """Scores windows with what `cfg` asks for: the model, a cache on it, or the model as it learns.

    Args:
        cfg (EvaluationConfig): the task's
        decoder: the model
        subset: name of what is evaluated
    """

    def __init__(self, cfg, decoder, subset):
        self.cfg, self.decoder, self.subset = cfg, decoder, subset
        self.numbers = cache_numbers(cfg)
        self.lrs = dynamic.numbers(cfg.dynamic_lr, "--dynamic-lr")
        self.decays = dynamic.numbers(cfg.dynamic_decay, "--dynamic-decay")
        self.kind = str(cfg.dynamic_evaluation)
        self.cache = self.tuning = self.dynamic = None
        self.weight = self.numbers[2] if self.numbers else 0.0
        self.check()

    def check(self):
        cfg, learns = self.cfg, self.kind != "none"
        if cfg.post_process:
            raise Refused(
                "--post-process joins pieces to words within a window only, so that the perplexity would "
                "change with --tokens-per-sample: leave it out"
            )
        if cfg.eval_streams < 1 or cfg.eval_warmup < 0:
            raise Refused("--eval-streams is at least 1, and --eval-warmup at least 0")
        if cfg.eval_streams > 1 and learns:
            raise Refused("dynamic evaluation learns from the text in its order: leave out --eval-streams")
        if cfg.eval_streams > 1 and None in self.cache_windows():
            raise Refused(
                "a stream of --eval-streams has not seen all tokens before: give --cache-window a number"
            )
        if cfg.dynamic_batches < 1 or cfg.dynamic_epsilon <= 0:
            raise Refused("--dynamic-batches is at least 1, and --dynamic-epsilon above 0")
        if learns and any(p.dtype == torch.float16 for p in self.decoder.parameters()):
            raise Refused(
                "dynamic evaluation changes weights by less than float16 resolves: leave out --fp16"
            )
        if (cfg.cache_tune or self.grid()) and "test" in self.subset:
            logger.warning(
                f"WARNING: numbers found on '{self.subset}' must not be reported for it: tune on "
                "valid, then evaluate test with the numbers found"
            )

    def grid(self):
        return self.kind != "none" and len(self.lrs) * len(self.decays) > 1

    def cache_windows(self):
        """Windows of the cache, None for all tokens; empty without a cache."""
        if self.cfg.cache_tune and self.cfg.cache_window is None:
            return WINDOWS
        window = self.cfg.cache_window if self.cfg.cache_tune else self.numbers and self.numbers[0]
        return () if window is None else (window or None,)

    def warm_up(self):
        return max([self.cfg.eval_warmup, *self.cache_windows()])

    def start(self):
        """Forgets what was seen of the text."""
        self.cache, windows = None, self.cache_windows()
        if self.cfg.cache_tune:
            self.tuning = CacheTuning(windows)
            self.cache = ContinuousCache(windows, self.tuning.thetas, self.cfg.cache_block)
        elif windows and self.weight:
            self.cache = ContinuousCache(windows, (self.numbers[1],), self.cfg.cache_block)

    def score(self, output_layer, features, target, counted):
        """-ln p(target), [T, B], of a window; the model then learns from it, if it is to."""
        nll = output_layer.nll(features, target)
        if self.dynamic is not None:
            loss = nll[counted].mean()
            if not loss < HOPELESS:
                raise dynamic.Diverged("the model diverged in dynamic evaluation: give a lower --dynamic-lr")
            self.dynamic.learn(loss)
            nll, features = nll.detach(), features.detach()
        if self.cache is None:
            return nll
        log_cache = self.cache.log_prob(features, target)
        if self.tuning is not None:
            self.tuning.add(-nll, log_cache, counted)
            return nll
        return -mixed(-nll, log_cache[0, 0], self.weight)

    def windows(self, make, expected, training, pad, peak, sizes):
        """What fairseq-eval-lm iterates over.

        Args:
            make: makes the iterator over the windows, anew
            expected: number of targets
            training: makes an iterator over windows of the training data
            pad: id of no target
            peak: function that tells the memory held, in GiB
            sizes: (characters, words) of the subset, None for what is not known
        """

        def finish(nats):
            found = report.summary(nats, expected, time.monotonic() - began, peak(), *sizes)
            if self.tuning is not None:
                self.tuning.report(self.cfg.cache_tune, self.subset)
            logger.info(report.sentence(self.subset, found))
            if self.cfg.results_path:
                report.write(self.cfg.results_path, self.subset, found, self.cfg.checkpoint_path)

        if self.kind != "none":
            self.learn_from(make, expected, training, pad)
        self.start()
        began = time.monotonic()
        return ScoredWindows(make(), self.score, expected, self.subset, pad, finish, self.dynamic is not None)

    def learn_from(self, make, expected, training, pad):
        """Sets up dynamic evaluation: the gradients' sizes, and the best of the grid."""
        parameters, sizes = list(self.decoder.parameters()), None
        if self.kind == "rms":
            logger.info(f"gradients of {self.cfg.dynamic_batches} windows of the training data")
            losses = itertools.islice(self.losses(training(), pad), self.cfg.dynamic_batches)
            sizes = dynamic.gradient_sizes(parameters, losses)

        def perplexity(lr, decay):
            self.dynamic = dynamic.DynamicEvaluation(parameters, lr, decay, self.cfg.dynamic_epsilon, sizes)
            self.start()
            windows = ScoredWindows(make(), self.score, expected, self.subset, pad, nats.append, learns=True)
            try:
                for sample in windows:
                    self.run(sample)
            finally:
                self.dynamic.restore()
            return report.perplexity(nats.pop(), expected)

        nats = []
        lr, decay = self.lrs[0], self.decays[0]
        if self.grid():
            lr, decay = dynamic.search((self.lrs, self.decays), perplexity)
        self.dynamic = dynamic.DynamicEvaluation(parameters, lr, decay, self.cfg.dynamic_epsilon, sizes)

    def run(self, sample):
        device = next(self.decoder.parameters()).device
        sample = utils.move_to_cuda(sample, device) if device.type == "cuda" else sample
        return self.decoder(**sample["net_input"])

    def losses(self, windows, pad):
        """The mean loss of each window, with a graph."""
        for sample in windows:
            sample["net_input"]["learns"] = True
            log_prob, _ = self.run(sample)
            yield -log_prob.squeeze(-1)[sample["target"].ne(pad)].mean()
