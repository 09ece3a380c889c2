"""The options of fairseq-eval-lm, and which of them go together."""

from dataclasses import dataclass, field, fields
from typing import Optional

from fairseq.dataclass import FairseqDataclass
from omegaconf import II

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheConfig, CacheSettings
from lm_plugins.evaluation.dynamic_options import DynamicEvaluationConfig, DynamicSettings
from lm_plugins.evaluation.interpolation_options import InterpolationConfig, InterpolationSettings
from lm_plugins.flags import flag_of
from lm_plugins.ranges import at_least, check_config

WARM_UP = 1000  # tokens; a recurrent state has forgotten its start long before


@dataclass
class EvaluationFlags(CacheConfig, DynamicEvaluationConfig, InterpolationConfig):
    """The flags that only fairseq-eval-lm uses."""

    eval_streams: int = field(
        default=1,
        metadata={
            "range": at_least(1),
            "help": "number of parallel streams in evaluation, at least 1; each stream but the first begins "
            "by reading the --eval-warmup tokens that precede its own, so that the perplexity is very close "
            "to that of a single stream",
        },
    )
    eval_warmup: int = field(
        default=WARM_UP,
        metadata={
            "range": at_least(0),
            "help": "number of preceding tokens that a stream of --eval-streams reads without scoring them, "
            "at least 0; raised to the cache window if that is larger",
        },
    )


@dataclass
class EvaluationConfig(EvaluationFlags):
    """The flags above, and the options of fairseq that evaluation reads."""

    results_path: Optional[str] = II("common_eval.results_path")
    checkpoint_path: Optional[str] = II("common_eval.path")
    post_process: Optional[str] = II("common_eval.post_process")


def refuse_flags(cfg: EvaluationConfig) -> None:
    """Refuse fairseq-eval-lm's flags in other programs, which would ignore them.

    Raises:
        Refused: one of them differs from its default
    """
    of_fairseq = {field.name for field in fields(FairseqDataclass)}
    for flag in fields(EvaluationFlags):
        if flag.name not in of_fairseq and getattr(cfg, flag.name) != flag.default:
            raise Refused(f"{flag_of(flag.name)} applies only to fairseq-eval-lm: leave it out")


def check_options(
    cfg: EvaluationConfig,
    cache: CacheSettings | None,
    dynamic: DynamicSettings | None,
    batch_size: int | None,
    interpolation: InterpolationSettings | None = None,
) -> None:
    """Refuse options that would give a wrong perplexity.

    Raises:
        Refused: a number is out of range, or options exclude each other
    """
    if cfg.post_process:
        raise Refused(
            "--post-process joins pieces into words only within a window, so the perplexity would depend on "
            "--tokens-per-sample: leave it out"
        )
    check_config(cfg, EvaluationFlags)
    if cfg.eval_streams > 1 and dynamic is not None:
        raise Refused("dynamic evaluation must read the text in order: leave out --eval-streams")
    if cfg.eval_streams > 1 and cache is not None and None in cache.windows:
        raise Refused(
            "the streams of --eval-streams do not see all preceding tokens: give --cache-window a number "
            "above 0"
        )
    if cfg.eval_streams > 1 and batch_size is not None:
        raise Refused(
            "--batch-size and --eval-streams both set the number of streams: give --eval-streams, whose "
            "streams are warmed up, or --batch-size, to reproduce what training logged"
        )
    searches = cache is not None and cache.grid_file or dynamic is not None and dynamic.is_grid
    if interpolation is not None and searches:
        raise Refused(
            "a cache and dynamic evaluation belong to the first model of an interpolation: find their "
            "values with that model alone, and then give these values"
        )


def warm_up(cfg: EvaluationConfig, cache: CacheSettings | None) -> int:
    """Return how many tokens a stream of --eval-streams reads before it scores: the cache must be full."""
    return max([cfg.eval_warmup, *(cache.windows if cache else ())])
