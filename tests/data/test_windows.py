"""Windows cover every position of a stream exactly once."""

import pytest

from lm_plugins.data.windows import cut, random_first


def positions(windows):
    return [p for _, start, length in windows for p in range(start, start + length)]


@pytest.mark.parametrize("length", [1, 9, 10, 11, 35])
@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_every_position_is_in_exactly_one_window(length, size):
    windows = cut(length, size)
    assert positions(windows) == list(range(length))
    assert [window.step for window in windows] == list(range(len(windows)))
    assert all(window.length == size for window in windows[:-1])


@pytest.mark.parametrize("first", [1, 4, 10])
def test_a_shorter_first_window_moves_the_cuts_and_drops_nothing(first):
    windows = cut(25, 10, first)
    assert positions(windows) == list(range(25))
    assert windows[0].length == first
    assert windows[1].start == first


def test_a_first_window_longer_than_the_stream_is_the_stream():
    assert positions(cut(3, 10, 7)) == [0, 1, 2]


def test_the_random_start_is_a_function_of_seed_and_epoch():
    draws = [random_first(70, seed=1, epoch=epoch) for epoch in range(1, 2001)]
    assert draws == [random_first(70, seed=1, epoch=epoch) for epoch in range(1, 2001)]
    assert draws != [random_first(70, seed=2, epoch=epoch) for epoch in range(1, 2001)]
    assert set(draws) == set(range(1, 71))
    assert abs(sum(draws) / len(draws) - 35.5) < 1.5
