"""The definition of the mask, element by element: slow, clear, and the reference of the tests.

Element e = 128 b + 32 w + j of a tensor, counted in row-major order, is compared with word w of the Philox
numbers that belong to the counter 32 b + j. It is kept if that word is below (1 - p) 2^32.
"""

import torch
from torch import Tensor

from lm_plugins.ops.dropout.philox import WORD, philox

LANES, WORDS = 32, 4


def threshold(p: float) -> int:
    """Return the number below which a word of 32 bits keeps its element."""
    return min(WORD, round((1 - p) * 2**32))


def keep_mask(count: int, p: float, seed: int) -> Tensor:
    """Return a bool mask [count], False with probability `p`."""
    element = torch.arange(count, device="cpu")
    block, inside = element // (LANES * WORDS), element % (LANES * WORDS)
    counter, zero = block * LANES + inside % LANES, torch.zeros_like(element)
    words = torch.stack(philox([counter & WORD, counter >> 32, zero, zero], seed))
    return words.gather(0, (inside // LANES).unsqueeze(0)).squeeze(0) < threshold(p)


def dropout(x: Tensor, p: float, seed: int) -> Tensor:
    """Return x m / (1 - p), with a mask m that belongs to `seed`."""
    return torch.where(keep_mask(x.numel(), p, seed).view(x.shape), x * (1 / (1 - p)), 0)
