"""Noise words follow the distribution whose probabilities they are given."""

import pytest
import torch

from lm_plugins.modules.noise import LogUniform, Unigram

COUNTS = torch.tensor([7, 0, 30, 12, 1, 50])


@pytest.mark.parametrize(
    "noise",
    [Unigram(COUNTS), Unigram(COUNTS, 0.75), Unigram(COUNTS, 0.0), LogUniform(6)],
    ids=["counts", "power", "uniform", "log-uniform"],
)
def test_draws_and_probabilities_agree(noise):
    p = noise.log_prob(torch.arange(6)).exp()
    assert p.sum().item() == pytest.approx(1)
    drawn = noise.draw((1000, 300)).flatten().bincount(minlength=6) / 300_000
    torch.testing.assert_close(drawn, p.to(drawn), rtol=0, atol=0.005)


def test_words_without_a_count_can_be_drawn():
    p = Unigram(COUNTS).log_prob(torch.arange(6)).exp()
    assert p[1] == p[4] > 0
    torch.testing.assert_close(p[5] / p[0], torch.tensor(50 / 7))


def test_the_log_uniform_formula():
    p = LogUniform(100).log_prob(torch.arange(100)).exp()
    assert p[0].item() == pytest.approx(
        torch.log(torch.tensor(2.0)).item() / torch.log(torch.tensor(101.0)).item()
    )
    assert p.diff().lt(0).all()
