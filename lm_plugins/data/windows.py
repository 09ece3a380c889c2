"""Truncated back-propagation through time cuts every stream into windows.

A window is ``(step, start, length)``: the `step`-th of its epoch, covering the positions
``start .. start + length - 1`` of every stream. Windows follow one another without gap or overlap,
so each position is in exactly one. They are a pure function of their arguments: the same on every
rank, in every worker, and after a resume.
"""

from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    step: int
    start: int
    length: int


def cut(stream_length, size, first=None):
    """Windows of `size` positions; the first has `first` (1..size), the last what remains."""
    starts = [0, *range(first or size, stream_length, size)]
    ends = [*starts[1:], stream_length]
    return [Window(k, a, b - a) for k, (a, b) in enumerate(zip(starts, ends, strict=True))]


def random_first(size, seed, epoch):
    """Length of the epoch's first window, uniform on 1..size.

    Without it a token at a multiple of `size` never has anything to back-propagate into. This is the
    random start of OpenSeq2Seq, which skips the tokens before it; here they are the first window.
    """
    return int(np.random.default_rng((seed, epoch)).integers(1, size + 1))
