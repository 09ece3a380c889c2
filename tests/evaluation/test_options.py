"""Which options of evaluation exclude each other, and which programs refuse them."""

from dataclasses import fields

import pytest

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import cache_settings
from lm_plugins.evaluation.dynamic_options import dynamic_settings
from lm_plugins.evaluation.options import EvaluationConfig, check_options, refuse_flags, warm_up

CHANGED = {
    "cache_window": 5, "cache_theta": 0.0, "cache_lambda": 0.1, "cache_tune": "x", "cache_from": "x",
    "dynamic_evaluation": "rms", "dynamic_lr": "1e-3", "dynamic_decay": "0", "dynamic_epsilon": 1e-4,
    "dynamic_batches": 3, "eval_streams": 2, "eval_warmup": 0,
}  # fmt: skip
OF_FAIRSEQ = {"_name", "results_path", "checkpoint_path", "post_process"}


def test_every_flag_is_refused_by_other_programs():
    assert CHANGED.keys() == {field.name for field in fields(EvaluationConfig)} - OF_FAIRSEQ
    refuse_flags(EvaluationConfig(results_path="results", post_process="x"))
    for name, value in CHANGED.items():
        with pytest.raises(Refused, match=f"--{name.replace('_', '-')} applies only to fairseq-eval-lm"):
            refuse_flags(EvaluationConfig(**{name: value}))


@pytest.mark.parametrize(
    "flags, batch_size, sentence",
    [
        ({"post_process": "sentencepiece"}, None, "--post-process joins pieces"),
        ({"eval_streams": 0}, None, "--eval-streams is 0: it must be at least 1"),
        ({"eval_warmup": -1}, None, "--eval-warmup is -1: it must be at least 0"),
        ({"eval_streams": 2, "dynamic_evaluation": "sgd"}, None, "leave out --eval-streams"),
        ({"eval_streams": 2, "cache_tune": "x", "cache_window": 0}, None, "give --cache-window a number"),
        ({"eval_streams": 2}, 2, "both set the number of streams"),
    ],
)
def test_what_would_give_a_wrong_perplexity_is_refused(flags, batch_size, sentence):
    cfg = EvaluationConfig(**{"post_process": None, **flags})
    with pytest.raises(Refused, match=sentence):
        check_options(cfg, cache_settings(cfg), dynamic_settings(cfg), batch_size)


def test_the_warm_up_fills_the_cache():
    cfg = EvaluationConfig(eval_warmup=100, cache_window=300, cache_theta=1.0, cache_lambda=0.1)
    assert warm_up(cfg, cache_settings(cfg)) == 300
    assert warm_up(cfg, None) == 100
