"""Truncated back-propagation through time cuts every stream into windows.

A window is ``(step, start, length, epoch)``: the `step`-th of its epoch, covering the positions
``start .. start + length - 1`` of every stream. Windows follow one another without gap or overlap,
so each position is in exactly one. They are a pure function of their arguments: the same on every
rank, in every worker, and after a resume.
"""

from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

SHORTEST = 5  # of the lengths that are drawn; the last window of a stream has what remains


class Window(NamedTuple):
    step: int
    start: int
    length: int
    epoch: int = 1


def cut(stream_length, lengths, epoch=1):
    """Windows of `lengths`, an endless iterator; the last has what remains of the stream."""
    windows, start = [], 0
    for step, length in enumerate(lengths):
        length = min(length, stream_length - start)
        windows.append(Window(step, start, length, epoch))
        start += length
        if start == stream_length:
            return windows


def fixed(size):
    """Windows of `size` positions."""
    return repeat(size)


def random_start(size, seed, epoch):
    """Windows of `size` after a first one whose length is uniform on 1..size.

    Without it a token at a multiple of `size` never has anything to back-propagate into. This is the
    random start of OpenSeq2Seq, which skips the tokens before it; here they are the first window.
    """
    first = int(np.random.default_rng((seed, epoch)).integers(1, size + 1))
    return chain([first], repeat(size))


def varied(stream_length, size, deviation, max_delta, seed, epoch):
    """Variable back-propagation lengths (Merity, Keskar and Socher 2017, arXiv:1708.02182).

    A length is normal with `deviation` (5) around `size`, or with probability 0.05 around size / 2,
    cut to an integer and to SHORTEST .. size + max_delta; its mean is 67.75 for size 70. The cap,
    which awd-lstm-lm lacks, bounds the memory. The longest window of the epoch comes first, so that a run
    that does not fit fails at once. Enough lengths are drawn for a stream of `stream_length`.
    """
    draw, shortest = np.random.default_rng((seed, epoch)), min(SHORTEST, size)
    count = -(-stream_length // shortest)
    base = np.where(draw.random(count) < 0.95, size, size / 2)
    lengths = np.clip(draw.normal(base, deviation).astype(np.int64), shortest, size + max_delta)
    lengths = lengths[: np.searchsorted(lengths.cumsum(), stream_length) + 1].tolist()
    longest = lengths.index(max(lengths))
    return [lengths[longest], *lengths[:longest], *lengths[longest + 1 :]]
