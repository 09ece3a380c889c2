"""Windows cover every position of a stream exactly once."""

from itertools import chain, repeat

import numpy as np
import pytest

from lm_plugins.data.windows import cut, fixed, random_start, varied


def positions(windows):
    return [p for _, start, length, _ in windows for p in range(start, start + length)]


@pytest.mark.parametrize("length", [1, 9, 10, 11, 35])
@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_every_position_is_in_exactly_one_window(length, size):
    windows = cut(length, fixed(size))
    assert positions(windows) == list(range(length))
    assert [window.step for window in windows] == list(range(len(windows)))
    assert all(window.length == size for window in windows[:-1])


@pytest.mark.parametrize("first", [1, 4, 10])
def test_a_shorter_first_window_moves_the_cuts_and_drops_nothing(first):
    windows = cut(25, chain([first], repeat(10)))
    assert positions(windows) == list(range(25))
    assert windows[0].length == first
    assert windows[1].start == first


def test_a_first_window_longer_than_the_stream_is_the_stream():
    assert positions(cut(3, fixed(7))) == [0, 1, 2]


def test_the_random_start_is_a_function_of_seed_and_epoch():
    def draws(seed):
        return [cut(1000, random_start(70, seed, epoch))[0].length for epoch in range(1, 2001)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert set(draws(1)) == set(range(1, 71))
    assert abs(sum(draws(1)) / 2000 - 35.5) < 1.5


@pytest.mark.parametrize("length", [1, 4, 5, 69, 70, 1001, 46_480])
@pytest.mark.parametrize("size, delta", [(70, 20), (35, 0), (10, 5), (3, 0), (1, 2)])
def test_varied_windows_cover_the_stream_too(length, size, delta):
    for epoch in range(1, 6):
        windows = cut(length, varied(length, size, 5, delta, seed=1, epoch=epoch))
        assert positions(windows) == list(range(length))
        lengths = [window.length for window in windows]
        assert max(lengths) == lengths[0] <= size + delta
        assert all(drawn >= min(5, size) for drawn in lengths[:-1])


def test_the_distribution_of_varied_lengths():
    """The mean is 67.75 for a base of 70: int() takes half a token, and one window in 20 is half as long."""
    drawn = np.array(varied(10_000_000, 70, 5, 20, seed=1, epoch=1)[1:])
    assert abs(drawn.mean() - 67.75) < 0.1
    assert abs((drawn > 80).mean() - 0.95 * 0.0139) < 0.001
    assert abs((drawn < 53).mean() - 0.05) < 0.002
    half = drawn[drawn < 53]
    assert abs(half.mean() - 34.5) < 0.2 and abs(half.std() - 5) < 0.3
    assert drawn.max() <= 90


@pytest.mark.parametrize("size, delta, multiple", [(70, 20, 8), (7, 2, 4), (3, 0, 3), (20, 1, 16), (6, 1, 4)])
def test_varied_lengths_are_rounded_to_a_multiple(size, delta, multiple):
    exact = np.array(varied(20_000, size, 5, delta, seed=1, epoch=1, multiple=1))
    drawn = np.array(varied(20_000, size, 5, delta, seed=1, epoch=1, multiple=multiple))
    assert (drawn % multiple == 0).all() and drawn.min() >= multiple and drawn.max() <= size + delta
    assert drawn.sum() >= 20_000 and drawn[0] == drawn.max()
    if multiple == 8:
        assert abs(drawn.mean() - exact.mean()) < 2
        assert len(set(drawn.tolist())) <= 11 < len(set(exact.tolist()))


def test_varied_lengths_are_a_function_of_seed_and_epoch():
    drawn = [tuple(varied(5000, 70, 5, 20, *key)) for key in ((1, 1), (1, 1), (1, 2), (2, 1))]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3
