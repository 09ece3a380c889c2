"""Dropout in torch alone: on a CPU with the masks of the compiled kernel, on a GPU with torch's own."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lm_plugins.ops.dropout.naive import LANES, WORDS, threshold
from lm_plugins.ops.dropout.philox import WORD, draw_seed, philox

BLOCKS = 512  # computed at a time, so that the intermediate tensors stay in the cache


def keep_mask(count: int, p: float, seed: int) -> Tensor:
    """Return the mask of naive.py, with each counter computed once."""
    blocks = -(-count // (LANES * WORDS))
    keep = torch.empty(blocks, WORDS, LANES, dtype=torch.bool, device="cpu")
    for start in range(0, blocks, BLOCKS):
        chunk = keep[start : start + BLOCKS]
        counter = torch.arange(start * LANES, (start + len(chunk)) * LANES, device="cpu").view(-1, LANES)
        zero = torch.zeros_like(counter)
        for word, drawn in enumerate(philox([counter & WORD, counter >> 32, zero, zero], seed)):
            torch.lt(drawn, threshold(p), out=chunk[:, word])
    return keep.flatten()[:count]


def dropout(x: Tensor, p: float) -> Tensor:
    """Return x m / (1 - p), with a new mask m."""
    if not x.is_cpu:
        return F.dropout(x, p)
    keep = keep_mask(x.numel(), p, draw_seed()).view(x.shape)
    return torch.where(keep, x * (1 / (1 - p)), 0)
