"""Distinct noise words are what rejection finds, with the expected counts that belong to them."""

import torch

from lm_plugins.modules.noise import LogUniform, Unigram
from lm_plugins.ops.distinct_words import distinct_words, log_expected_count


def recorded(noise):
    """Return a function that draws as `noise` does, and the list of what it drew."""
    drawn = []

    def draw(shape):
        drawn.extend((words := noise.draw(shape)).tolist())
        return words

    return draw, drawn


def test_they_are_the_first_distinct_ones_of_the_draws():
    draw, drawn = recorded(LogUniform(30))
    for k in (1, 5, 14):
        drawn.clear()
        words, tries = distinct_words(draw, (k,))
        assert words.shape == (k,) and tries.shape == ()
        expected, seen = None, []
        for count, word in enumerate(drawn, 1):
            seen += [word] if word not in seen else []
            if len(seen) == k:
                expected = count
                break
        assert words.tolist() == seen and int(tries) == expected


def test_each_set_has_its_own():
    words, tries = distinct_words(LogUniform(1000).draw, (2, 3, 40))
    assert words.shape == (2, 3, 40) and tries.shape == (2, 3) and (tries >= 40).all()
    assert all(len(set(one.tolist())) == 40 for one in words.flatten(0, 1))
    assert not torch.equal(words[0, 0].sort().values, words[1, 2].sort().values)


def test_the_expected_count_is_that_of_the_draws():
    noise, tries = Unigram(torch.tensor([50.0, 20, 10, 5, 1, 1])), 4
    draws = noise.draw((200_000, tries))
    measured = torch.stack([(draws == word).any(1).double().mean() for word in range(6)])
    expected = log_expected_count(noise.log_prob(torch.arange(6)), torch.tensor(tries)).exp()
    torch.testing.assert_close(measured, expected, rtol=0, atol=5e-3)


def test_the_expected_count_of_a_rare_word_keeps_its_digits():
    q = torch.tensor([1e-12], dtype=torch.float64)
    expected = log_expected_count(q.log(), torch.tensor(1000)).exp()
    torch.testing.assert_close(expected, 1000 * q, rtol=1e-9, atol=0)
