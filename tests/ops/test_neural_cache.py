"""The cache by blocks against the definition, which forms the whole distribution."""

import pytest
import torch

from lm_plugins.ops.neural_cache import neural_cache
from lm_plugins.ops.neural_cache.naive import neural_cache as naive

T, B, C, V = 13, 3, 4, 5


def inputs(past):
    keys, words = torch.randn(past + T, B, C).double(), torch.randint(V, (past + T, B))
    return keys[past:], words[past:], keys, words


@pytest.mark.parametrize("past", [0, 1, 9])
@pytest.mark.parametrize("block", [1, 7, 60, 1 << 22])
def test_equals_the_definition_at_every_position(past, block):
    query, target, keys, words = inputs(past)
    windows, thetas = (1, 7, 9, 1000, None), (0.0, 0.3, 2.5)
    found = neural_cache(query, target, keys, words, thetas, windows, block)
    for m, window in enumerate(windows):
        for n, theta in enumerate(thetas):
            whole = naive(query, keys, words, theta, window, V)
            total = whole.sum(-1)
            torch.testing.assert_close(total[0 if past else 1 :], torch.ones_like(total)[0 if past else 1 :])
            expected = whole.gather(2, target.unsqueeze(2)).squeeze(2)
            torch.testing.assert_close(found[m, n].exp(), expected, rtol=1e-12, atol=1e-14)


def test_large_products_do_not_overflow():
    query, target, keys, words = (x.float() if x.is_floating_point() else x for x in inputs(4))
    found = neural_cache(query * 100, target, keys * 100, words, (5.0,), (6,))
    assert not found.isnan().any() and (found <= 1e-6).all()
