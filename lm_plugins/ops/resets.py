"""Resets: the steps of a window before which the recurrent state is reset, because a sentence begins."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor


class Layout(NamedTuple):
    """The packing of a window [T, B] into R of torch's packed sequences, of at most L steps."""

    batch_sizes: Tensor  # [L], on the CPU: number of sequences that have a step t
    place: Tensor  # [T B]: index in the packed data of each (t, b)
    order: Tensor  # [T B]: index t B + b of each element of the packed data
    stream: Tensor  # [R]: the stream of each sequence
    continues: Tensor  # [R] bool: whether the sequence starts with the state of its stream
    last: Tensor  # [B]: the last sequence of each stream


class Resets:
    """The resets of one window, computed once and shared by all layers.

    Args:
        mask: [T, B] bool, True where the state is reset before the step
    """

    def __init__(self, mask: Tensor):
        self.mask = mask

    @functools.cached_property
    def layout(self) -> Layout:
        """Return the layout of the window in which each stretch between two resets is a sequence.

        It is computed on the CPU, so that the host waits for a GPU only once.
        """
        reset = self.mask.t().cpu()  # stream by stream, so that a sequence is contiguous
        streams, time = reset.shape
        first = reset.clone()
        first[:, 0] = True
        first = first.flatten()
        sequence = first.cumsum(0) - 1
        start = first.nonzero().squeeze(1)
        lengths = sequence.bincount()
        by_length = lengths.argsort(descending=True, stable=True)
        rank = inverse(by_length)
        batch_sizes = lengths.bincount(minlength=time + 1).flip(0).cumsum(0).flip(0)[1:]  # longer than t
        step = torch.arange(time * streams) - start[sequence]
        place = (batch_sizes.cumsum(0) - batch_sizes)[step] + rank[sequence]
        place = place.view(streams, time).t().flatten()
        stream, continues = start // time, ~reset.flatten()[start]
        last = rank[sequence.view(streams, time)[:, -1]]
        indices = (place, inverse(place), stream[by_length], continues[by_length], last)
        return Layout(
            batch_sizes[batch_sizes > 0],
            *(index.to(self.mask.device, non_blocking=True) for index in indices),
        )


def inverse(permutation: Tensor) -> Tensor:
    """Return the inverse of a permutation [N]."""
    return torch.empty_like(permutation).scatter_(0, permutation, torch.arange(len(permutation)))
