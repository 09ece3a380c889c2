"""Draws follow the distribution that temperature, top_k and top_p leave."""

import pytest
import torch

from lm_plugins.sampling import HEAD, choose, draw, keep_mass

P = torch.tensor([0.2, 0.5, 0.0, 0.3])


def test_the_head_of_a_distribution():
    p = torch.tensor([0.5, 0.3, 0.2])
    assert keep_mass(p, torch.tensor([0.6])).tolist() == pytest.approx([0.5, 0.3, 0])
    assert keep_mass(p, torch.tensor([0.4])).tolist() == pytest.approx([0.5, 0, 0])
    assert torch.equal(keep_mass(p, torch.tensor([1.1])), p)


def test_a_head_may_be_wider_than_the_first_tokens_that_are_taken():
    p = torch.ones(2, 3 * HEAD).softmax(-1)
    drawn = {int(draw(p.log(), top_p=0.9)[0]) for _ in range(2000)}
    assert HEAD < len(drawn) <= round(0.9 * 3 * HEAD) + 1


def test_weights_of_zero_are_never_chosen():
    weights = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1e-30]])
    assert all(choose(weights).tolist() == [1, 2] for _ in range(100))


@pytest.mark.parametrize("options", [{"temperature": 1e-44}, {"top_p": 1e-46}, {"temperature": 1e-30}])
def test_the_smallest_numbers_take_the_most_likely_token(options):
    """In float32 ln p divided by such a temperature is infinite, and such a mass is 0."""
    assert draw(P.log().expand(9, -1), **options).tolist() == [1] * 9


@pytest.mark.parametrize(
    "options, weights",
    [
        ({}, [0.2, 0.5, 0, 0.3]),
        ({"temperature": 0.5}, [0.04, 0.25, 0, 0.09]),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 0.5, 0, 0.3]),
        ({"top_p": 0.5}, [0, 1, 0, 0]),
        ({"top_p": 0.6}, [0, 0.5, 0, 0.3]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1, 0, 0]),  # 0.5 of the 0.8 that top_k leaves
    ],
)
def test_draws_follow_the_distribution(options, weights):
    generator = torch.Generator().manual_seed(3)
    draws = draw(P.log().expand(2000, -1), **options, generator=generator)
    shares, expected = draws.bincount(minlength=4) / 2000, torch.tensor(weights) / sum(weights)
    assert (shares[expected == 0] == 0).all()
    torch.testing.assert_close(shares, expected, atol=0.05, rtol=0)


def test_a_generator_repeats_the_draws():
    one, two = (
        [int(draw(P.log(), generator=g)) for _ in range(20)]
        for g in (torch.Generator().manual_seed(1), torch.Generator().manual_seed(1))
    )
    assert one == two
