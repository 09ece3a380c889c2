"""The neural cache carried over windows, its mixture with a model, and its tuning."""

import json
import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation import cache_report
from lm_plugins.evaluation.cache_options import WINDOWS, CacheConfig, CacheSettings, cache_settings
from lm_plugins.evaluation.cache_tuning import CacheGrid
from lm_plugins.evaluation.neural_cache import NeuralCache, mixed
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
    cache = NeuralCache((window,), (theta,), block=50)
    windows = zip(states.split(sizes), words.split(sizes), strict=True)
    return torch.cat([cache.log_prob(*window)[0, 0] for window in windows])


@pytest.mark.parametrize("window", [1, 7, 39, 500, None])
@pytest.mark.parametrize("sizes", [[1] * N, [40], [7, 1, 20, 12]])
def test_the_mixture_is_the_whole_distribution_s_however_the_text_is_cut(text, window, sizes):
    states, words, log_p = text
    log_target = log_p.gather(2, words.unsqueeze(2)).squeeze(2)
    p = mixed(log_target, carried(text, window, sizes), 0.3).exp()
    cache = naive(states, states, words, 0.8, window, V)
    whole = 0.7 * log_p.exp() + 0.3 * cache
    whole[0] = log_p[0].exp()  # nothing was seen
    torch.testing.assert_close(whole.sum(-1), torch.ones(N, B).double())
    torch.testing.assert_close(p, whole.gather(2, words.unsqueeze(2)).squeeze(2))


def test_weight_zero_changes_no_digit(text):
    log_p = torch.randn(N, B)
    assert torch.equal(mixed(log_p, carried(text, 5, [N]), 0), log_p)


def test_no_more_is_kept_than_needed(text):
    states, words, _ = text
    cache = NeuralCache((5,), (1.0,))
    for _ in range(300):
        cache.log_prob(states, words)
    assert len(cache.keys) <= 1024 and cache.keys.shape[1:] == (B, C)


def test_tuning_finds_in_one_pass_what_single_runs_give(text, tmp_path):
    states, words, log_p = text
    log_target = log_p.gather(2, words.unsqueeze(2)).squeeze(2)
    scored = torch.ones(N, B, dtype=torch.bool)
    scored[-3:, 1] = False
    settings = CacheSettings((4, None), (0.0, 0.5, 1.5), (0.1, 0.4))
    grid, cache = CacheGrid(settings), NeuralCache(settings.windows, settings.thetas)
    for window in (slice(0, 25), slice(25, N)):
        grid.add(log_target[window], cache.log_prob(states[window], words[window]), scored[window])
    for m, window in enumerate(settings.windows):
        for n, theta in enumerate(settings.thetas):
            for k, weight in enumerate(settings.weights):
                single = mixed(log_target, carried(text, window, [N], theta), weight)
                expected = math.exp(-single[scored].mean())
                assert float(grid.perplexities()[m, n, k]) == pytest.approx(expected)
    file = tmp_path / "cache.json"
    cache_report.report(grid, str(file), "valid")
    saved = json.loads(file.read_text())
    assert saved["perplexity"] == min(entry["perplexity"] for entry in saved["grid"]) < saved["without"] * 2
    assert saved["without"] == pytest.approx(math.exp(-log_target[scored].mean()))
    assert len(saved["grid"]) == 12 and (tmp_path / "cache.png").stat().st_size > 1000
    best = CacheSettings((saved["window"] or None,), (saved["theta"],), (saved["lambda"],))
    assert cache_settings(CacheConfig(cache_from=str(file))) == best


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ({"cache_window": -1}, "--cache-window is -1"),
        ({"cache_window": 5}, "give all three"),
        ({"cache_window": 5, "cache_theta": -1.0, "cache_lambda": 0.1}, "--cache-theta is -1.0"),
        ({"cache_window": 5, "cache_theta": 1.0, "cache_lambda": 1.0}, "--cache-lambda is 1.0"),
        ({"cache_tune": "x", "cache_theta": 1.0}, "leave out --cache-theta"),
        ({"cache_from": "missing.json"}, "missing.json does not hold the window, theta and lambda"),
        ({"cache_from": "x", "cache_window": 5}, "leave out the other --cache flags"),
    ],
)
def test_bad_numbers_are_refused(flags, sentence):
    with pytest.raises(Refused, match=sentence):
        cache_settings(CacheConfig(**flags))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('{"window": -5, "theta": 1, "lambda": 0.1}', "the window of .* is -5: it must be at least 0"),
        ('{"window": 1e400, "theta": 1, "lambda": 0.1}', "does not hold the window"),
        ('{"window": 5, "theta": NaN, "lambda": 0.1}', "--cache-theta is nan: it must be a finite number"),
        ("[" * 100_000, "does not hold the window"),
    ],
)
def test_a_bad_cache_file_is_refused(text, sentence, tmp_path):
    path = tmp_path / "cache.json"
    path.write_text(text)
    with pytest.raises(Refused, match=sentence):
        cache_settings(CacheConfig(cache_from=str(path)))


def test_no_flags_no_cache():
    assert cache_settings(CacheConfig()) is None


@pytest.mark.parametrize("window, windows", [(None, WINDOWS), (70, (70,)), (0, (None,))])
def test_a_grid_has_the_window_that_is_given(window, windows):
    settings = cache_settings(CacheConfig(cache_tune="file", cache_window=window))
    assert settings.windows == windows and settings.grid_file == "file" and len(settings.weights) > 1
