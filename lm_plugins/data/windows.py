"""Cut every stream into the windows of truncated back-propagation through time.

A window is ``(step, start, length, epoch)``: the `step`-th of its epoch, which covers the positions
``start .. start + length - 1`` of every stream. Windows follow one another without gap or overlap, so each
position is in exactly one. They are a pure function of their arguments: the same on every rank and
after a resume.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

SHORTEST = 5  # minimum of the lengths that are drawn; the last window of a stream has what remains


class Window(NamedTuple):
    step: int
    start: int
    length: int
    epoch: int = 1


def cut(stream_length: int, lengths: Iterable[int], epoch: int = 1) -> list[Window]:
    """Return the windows of a stream with the given `lengths`; the last one has what remains.

    Args:
        lengths: endless, or enough for `stream_length`
    """
    windows, start = [], 0
    for step, length in enumerate(lengths):
        length = min(length, stream_length - start)
        windows.append(Window(step, start, length, epoch))
        start += length
        if start == stream_length:
            return windows


def fixed(size: int) -> Iterator[int]:
    """Return window lengths that all equal `size`."""
    return repeat(size)


def random_start(size: int, seed: int, epoch: int) -> Iterator[int]:
    """Return window lengths of `size` after a first one that is uniform on 1..size.

    With equal windows, the loss of a token at a multiple of `size` is never back-propagated to earlier steps.
    Source: the random start of OpenSeq2Seq. Departure: OpenSeq2Seq skips the tokens before the random start;
    here they are the first window.
    """
    first = int(np.random.default_rng((seed, epoch)).integers(1, size + 1))
    return chain([first], repeat(size))


def varied(
    stream_length: int,
    size: int,
    deviation: float,
    max_delta: int,
    seed: int,
    epoch: int,
    multiple: int = 1,
) -> list[int]:
    """Return variable window lengths, enough for a stream of `stream_length`.

    A length is drawn from a normal distribution with standard `deviation` around `size`, or with
    probability 0.05 around size / 2. It is truncated to an integer and clipped to
    SHORTEST .. size + max_delta. The mean is 67.75 for size 70 and deviation 5. Then it is rounded to the
    nearest positive `multiple` that is not above size + max_delta.

    Source: Merity, Keskar and Socher 2017 (arXiv:1708.02182). Departures from awd-lstm-lm: the upper limit,
    which bounds the memory, and the order: the longest window of the epoch comes first, so that a run that
    does not fit into memory fails at once.
    """
    draw, shortest = np.random.default_rng((seed, epoch)), min(SHORTEST, size)
    count = -(-stream_length // shortest)
    base = np.where(draw.random(count) < 0.95, size, size / 2)
    lengths = np.clip(draw.normal(base, deviation).astype(np.int64), shortest, size + max_delta)
    rounded = (lengths + multiple // 2) // multiple
    lengths = multiple * np.clip(rounded, 1, max(1, (size + max_delta) // multiple))
    lengths = np.tile(lengths, -(-stream_length // lengths.sum()))  # those rounded down may be too few
    lengths = lengths[: np.searchsorted(lengths.cumsum(), stream_length) + 1].tolist()
    longest = lengths.index(max(lengths))
    return [lengths[longest], *lengths[:longest], *lengths[longest + 1 :]]
