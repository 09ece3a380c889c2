"""Perplexity and bits."""

import math

import pytest

from lm_plugins import metrics


def test_a_uniform_distribution_has_its_size_as_perplexity():
    nats = 100 * math.log(8)
    assert metrics.perplexity(nats, 100) == pytest.approx(8)
    assert metrics.bits(nats, 100) == pytest.approx(3)
    assert metrics.bits(nats, 400) == pytest.approx(0.75)


def test_what_does_not_fit_in_a_float_is_infinite():
    assert metrics.perplexity(1e6, 10) == math.inf
