"""Resets: where sentences begin in a window; every recurrent layer is given the same one."""

import functools

import torch


class Resets:
    """Made once for a window, so that its layers share what follows from it.

    Args:
        mask: [T, B] bool, True where the state is forgotten before the step
    """

    def __init__(self, mask):
        self.mask = mask

    @functools.cached_property
    def layout(self):
        """How the packed LSTM reads the window: each stretch of a stream between two resets is a row.

        Worked out on the CPU, so that a GPU is waited for once.

        Returns:
            (batch sizes [longest] on the CPU, place of each (t, b) in the packed data [T B], what stands
            at each place [T B], the streams that the rows start in [R], whether they take that stream's
            state [R], the row with which each stream ends [B])
        """
        reset = self.mask.t().cpu()  # stream by stream, so that a row is contiguous
        streams, time = reset.shape
        first = reset.clone()
        first[:, 0] = True
        first = first.flatten()
        row = first.cumsum(0) - 1
        start = first.nonzero().squeeze(1)
        lengths = row.bincount()
        order = lengths.argsort(descending=True, stable=True)
        rank = inverse(order)
        sizes = lengths.bincount(minlength=time + 1).flip(0).cumsum(0).flip(0)[1:]  # rows longer than t
        step = torch.arange(time * streams) - start[row]
        place = ((sizes.cumsum(0) - sizes)[step] + rank[row]).view(streams, time).t().flatten()
        stream, enters = start // time, ~reset.flatten()[start]
        last = rank[row.view(streams, time)[:, -1]]
        parts = (place, inverse(place), stream[order], enters[order], last)
        return sizes[sizes > 0], *(part.to(self.mask.device, non_blocking=True) for part in parts)


def inverse(permutation):
    return torch.empty_like(permutation).scatter_(0, permutation, torch.arange(len(permutation)))
