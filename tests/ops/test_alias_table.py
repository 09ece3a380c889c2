"""The alias table holds the distribution exactly, and draws follow it."""

import pytest
import torch

from lm_plugins.ops.alias_table import alias_draw, alias_table


def distribution(keep, alias):
    """Return the distribution that the table draws from, the sum over the two words of each column."""
    return keep.clone().scatter_add_(0, alias, 1 - keep) / len(keep)


@pytest.mark.parametrize(
    "weights",
    [
        torch.ones(7),
        torch.tensor([5.0]),
        torch.tensor([1.0, 0, 0, 3]),
        torch.tensor([0.0, 0, 1]),
        torch.tensor([9.0, 0, 1, 1, 4, 1, 0, 8]),
        1 / torch.arange(1, 10_001).double(),
        torch.rand(997).double() ** 8,
        torch.tensor([1.0, 1, 1, 1 + 1e-12]).double(),
    ],
    ids=len,
)
def test_it_is_the_distribution(weights):
    keep, alias = alias_table(weights)
    assert keep.min() >= 0 and keep.max() <= 1
    expected = weights.double() / weights.double().sum()
    torch.testing.assert_close(distribution(keep, alias), expected, rtol=1e-9, atol=1e-14)


def test_draws_have_the_frequencies():
    weights = torch.tensor([1.0, 0, 6, 3])
    drawn = alias_draw(*alias_table(weights), (100, 1000))
    assert drawn.shape == (100, 1000)
    frequencies = drawn.flatten().bincount(minlength=4) / drawn.numel()
    torch.testing.assert_close(frequencies, weights / 10, rtol=0, atol=0.01)
    assert frequencies[1] == 0


def test_a_large_table_is_made_at_once():
    keep, alias = alias_table(1 / torch.arange(1, 793_472).double())
    expected = 1 / torch.arange(1, 793_472).double()
    torch.testing.assert_close(distribution(keep, alias), expected / expected.sum(), rtol=1e-6, atol=1e-15)
