"""Which options of evaluation exclude each other, and which programs refuse them."""

import json
import math
from dataclasses import fields

import pytest

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import cache_settings
from lm_plugins.evaluation.dynamic_options import dynamic_settings
from lm_plugins.evaluation.interpolation_options import interpolation_settings
from lm_plugins.evaluation.options import EvaluationConfig, check_options, refuse_flags, warm_up
from lm_plugins.files import sha256

CHANGED = {
    "cache_window": 5, "cache_theta": 0.0, "cache_lambda": 0.1, "cache_tune": "x", "cache_from": "x",
    "dynamic_evaluation": "rms", "dynamic_lr": "1e-3", "dynamic_decay": "0", "dynamic_epsilon": 1e-4,
    "dynamic_batches": 3, "eval_streams": 2, "eval_warmup": 0,
    "interpolate_with": "x", "interpolate_ngram": "x", "interpolate_weights": "0.5,0.5",
    "interpolate_tune": "x", "interpolate_from": "x",
}  # fmt: skip
OF_FAIRSEQ = {"_name", "results_path", "checkpoint_path", "post_process"}


def test_every_flag_is_refused_by_other_programs():
    assert CHANGED.keys() == {field.name for field in fields(EvaluationConfig)} - OF_FAIRSEQ
    refuse_flags(EvaluationConfig(results_path="results", post_process="x"))
    for name, value in CHANGED.items():
        with pytest.raises(Refused, match=f"--{name.replace('_', '-')} applies only to fairseq-eval-lm"):
            refuse_flags(EvaluationConfig(**{name: value}))


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """Make the files a, b, c and d of models in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in "abcd":
        (tmp_path / name).write_text(name)


@pytest.mark.parametrize(
    "flags, batch_size, sentence",
    [
        ({"post_process": "sentencepiece"}, None, "--post-process joins pieces"),
        ({"eval_streams": 0}, None, "--eval-streams is 0: it must be at least 1"),
        ({"eval_warmup": -1}, None, "--eval-warmup is -1: it must be at least 0"),
        ({"eval_streams": 2, "dynamic_evaluation": "sgd"}, None, "leave out --eval-streams"),
        ({"eval_streams": 2, "cache_tune": "x", "cache_window": 0}, None, "give --cache-window a number"),
        ({"eval_streams": 2}, 2, "both set the number of streams"),
        ({"interpolate_with": "b", "cache_tune": "x"}, None, "belong to the first model"),
        (
            {"interpolate_with": "b", "dynamic_evaluation": "sgd", "dynamic_lr": "1,2"},
            None,
            "belong to the first model",
        ),
    ],
)
def test_what_would_give_a_wrong_perplexity_is_refused(flags, batch_size, sentence):
    cfg = EvaluationConfig(**{"post_process": None, **flags})
    with pytest.raises(Refused, match=sentence):
        interpolation = interpolation_settings(cfg, "a")
        check_options(cfg, cache_settings(cfg), dynamic_settings(cfg), batch_size, interpolation)


def test_the_warm_up_fills_the_cache():
    cfg = EvaluationConfig(eval_warmup=100, cache_window=300, cache_theta=1.0, cache_lambda=0.1)
    assert warm_up(cfg, cache_settings(cfg)) == 300
    assert warm_up(cfg, None) == 100


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ({"interpolate_weights": "0.5,0.5"}, "--interpolate-weights has no effect on a single model"),
        (
            {"interpolate_with": "b", "interpolate_weights": "1"},
            "1: give one weight for each of the 2 models",
        ),
        ({"interpolate_with": "b", "interpolate_weights": "0.5,0.4"}, "with the sum 1, not 0.9"),
        ({"interpolate_with": "b", "interpolate_weights": "2,-1"}, "numbers of at least 0"),
        ({"interpolate_with": "b", "interpolate_weights": "0.5,x"}, "--interpolate-weights is 0.5,x"),
        (
            {"interpolate_with": "b", "interpolate_weights": "1,0", "interpolate_tune": "x"},
            "--interpolate-weights and --interpolate-tune both set the weights",
        ),
        ({"interpolate_with": "b", "interpolate_from": "missing"}, "missing does not hold the weights"),
        ({"interpolate_ngram": "b", "interpolate_from": "weights.json"}, "the weights of other models"),
        ({"interpolate_with": "b", "interpolate_from": "nan.json"}, "numbers of at least 0 with the sum 1"),
        ({"interpolate_with": "b:c:none"}, "there is no model 'none' to interpolate"),
        ({"interpolate_with": "b:"}, "there is no model '' to interpolate"),
        ({"interpolate_ngram": "none", "interpolate_from": "weights.json"}, "there is no model 'none'"),
    ],
)
def test_weights_that_are_refused(tmp_path, flags, sentence):
    models = [{"weight": 0.5, "sha256": "of another file"}] * 2
    (tmp_path / "weights.json").write_text(json.dumps({"models": models}))
    models = [{"weight": math.nan, "sha256": sha256(name)} for name in "ab"]
    (tmp_path / "nan.json").write_text(json.dumps({"models": models}))
    with pytest.raises(Refused, match=sentence):
        interpolation_settings(EvaluationConfig(**flags), "a")


def test_the_first_model_of_a_file_of_weights_may_be_missing():
    """A program in Python asks for the weights before it loads the models."""
    cfg = EvaluationConfig(interpolate_with="b", interpolate_from="weights.json")
    with pytest.raises(Refused, match="there is no model 'none' to interpolate"):
        interpolation_settings(cfg, "none")


@pytest.mark.parametrize("count", range(2, 5))
def test_equal_weights_can_be_typed_as_they_are_printed(count):
    cfg = EvaluationConfig(interpolate_weights=",".join([f"{1 / count:.6f}"] * count))
    cfg.interpolate_with = ":".join("bcd"[: count - 1])
    assert interpolation_settings(cfg, "a").weights == pytest.approx([1 / count] * count, rel=1e-15)


def test_weights_are_equal_unless_they_are_given():
    cfg = EvaluationConfig(interpolate_with="b:c", interpolate_ngram="d")
    assert interpolation_settings(cfg, "a").weights == (0.25,) * 4
    assert interpolation_settings(cfg, "a").others == ["b", "c", "d"]
    cfg = EvaluationConfig(interpolate_with="b", interpolate_weights="0.7,0.3000001")
    assert sum(interpolation_settings(cfg, "a").weights) == pytest.approx(1, rel=1e-15)
    assert interpolation_settings(EvaluationConfig(), "a") is None
