"""The cache carried over windows, its mixture with a model, and its tuning."""

import json
import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_tuning import CacheTuning
from lm_plugins.evaluation.continuous_cache import CacheConfig, ContinuousCache, cache_numbers, mixed
from lm_plugins.ops.neural_cache.naive import neural_cache as naive

N, B, C, V = 40, 2, 3, 6


@pytest.fixture
def text():
    """States, next words and the model's distribution at each of N positions."""
    return (
        torch.randn(N, B, C).double(),
        torch.randint(V, (N, B)),
        torch.randn(N, B, V).double().log_softmax(-1),
    )


def carried(text, window, sizes, theta=0.8):
    states, words, _ = text
    cache = ContinuousCache((window,), (theta,), block=50)
    parts = zip(states.split(sizes), words.split(sizes), strict=True)
    return torch.cat([cache.log_prob(*part)[0, 0] for part in parts])


@pytest.mark.parametrize("window", [1, 7, 39, 500, None])
@pytest.mark.parametrize("sizes", [[1] * N, [40], [7, 1, 20, 12]])
def test_the_mixture_is_the_whole_distribution_s_however_the_text_is_cut(text, window, sizes):
    states, words, log_p = text
    log_target = log_p.gather(2, words.unsqueeze(2)).squeeze(2)
    found = mixed(log_target, carried(text, window, sizes), 0.3).exp()
    cache = naive(states, states, words, 0.8, window, V)
    whole = 0.7 * log_p.exp() + 0.3 * cache
    whole[0] = log_p[0].exp()  # nothing was seen
    torch.testing.assert_close(whole.sum(-1), torch.ones(N, B).double())
    torch.testing.assert_close(found, whole.gather(2, words.unsqueeze(2)).squeeze(2))


def test_weight_zero_changes_no_digit(text):
    log_p = torch.randn(N, B)
    assert torch.equal(mixed(log_p, carried(text, 5, [N]), 0), log_p)


def test_no_more_is_kept_than_needed(text):
    states, words, _ = text
    cache = ContinuousCache((5,), (1.0,))
    for _ in range(300):
        cache.log_prob(states, words)
    assert len(cache.keys) <= 1024 and cache.keys.shape[1:] == (B, C)


def test_tuning_finds_in_one_pass_what_single_runs_give(text, tmp_path):
    states, words, log_p = text
    log_target = log_p.gather(2, words.unsqueeze(2)).squeeze(2)
    scored = torch.ones(N, B, dtype=torch.bool)
    scored[-3:, 1] = False
    tuning = CacheTuning((4, None), thetas=(0.0, 0.5, 1.5), lambdas=(0.1, 0.4))
    cache = ContinuousCache(tuning.windows, tuning.thetas)
    for part in (slice(0, 25), slice(25, N)):
        tuning.add(log_target[part], cache.log_prob(states[part], words[part]), scored[part])
    for m, window in enumerate(tuning.windows):
        for n, theta in enumerate(tuning.thetas):
            for k, weight in enumerate(tuning.lambdas):
                single = mixed(log_target, carried(text, window, [N], theta), weight)
                expected = math.exp(-single[scored].mean())
                assert float(tuning.perplexities()[m, n, k]) == pytest.approx(expected)
    tuning.report(str(tmp_path / "cache.json"), "valid")
    saved = json.loads((tmp_path / "cache.json").read_text())
    assert saved["perplexity"] == min(entry["perplexity"] for entry in saved["grid"]) < saved["without"] * 2
    assert len(saved["grid"]) == 12 and (tmp_path / "cache.png").stat().st_size > 1000
    numbers = cache_numbers(CacheConfig(cache_from=str(tmp_path / "cache.json")))
    assert numbers == (saved["window"], saved["theta"], saved["lambda"])


@pytest.mark.parametrize(
    "flags, part",
    [
        ({"cache_window": -1}, "--cache-window is -1"),
        ({"cache_window": 5}, "give all three"),
        ({"cache_window": 5, "cache_theta": -1.0, "cache_lambda": 0.1}, "--cache-theta is -1.0"),
        ({"cache_window": 5, "cache_theta": 1.0, "cache_lambda": 1.0}, "--cache-lambda is 1.0"),
        ({"cache_tune": "x", "cache_theta": 1.0}, "leave out --cache-theta"),
        ({"cache_from": "missing.json"}, "missing.json does not hold the window, theta and lambda"),
        ({"cache_from": "x", "cache_window": 5}, "leave out the other --cache flags"),
        ({"cache_block": 0}, "--cache-block is 0"),
    ],
)
def test_bad_numbers_are_refused(flags, part):
    with pytest.raises(Refused, match=part):
        cache_numbers(CacheConfig(**flags))


def test_no_flags_no_cache():
    assert cache_numbers(CacheConfig()) is None
