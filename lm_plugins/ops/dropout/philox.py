"""Philox4x32-10, a counter-based random generator (Salmon et al. 2011, SC'11), on tensors.

Its numbers depend only on the counter and the seed, so they can be computed in any order, in parallel, and
again in a backward pass.
"""

import torch
from torch import Tensor

WORD = 0xFFFFFFFF  # mask of 32 bits


def philox(counter: list[Tensor], seed: int) -> list[Tensor]:
    """Return the four random words of each counter.

    Args:
        counter: four words of 32 bits, int64 [...] each, the lowest first
        seed: 64 bits

    Returns:
        four words of 32 bits, int64 [...] each
    """
    x0, x1, x2, x3 = counter
    key_0, key_1 = seed & WORD, seed >> 32
    for _ in range(10):
        a, b = x0 * 0xD2511F53, x2 * 0xCD9E8D57  # 64 bits each: int64 wraps around
        x0, x1, x2, x3 = (b >> 32 & WORD) ^ x1 ^ key_0, b & WORD, (a >> 32 & WORD) ^ x3 ^ key_1, a & WORD
        key_0, key_1 = (key_0 + 0x9E3779B9) & WORD, (key_1 + 0xBB67AE85) & WORD
    return [x0, x1, x2, x3]


def draw_seed() -> int:
    """Draw a seed of 63 bits from torch's CPU generator, whose state checkpoints keep."""
    return int(torch.randint(2**63 - 1, (), device="cpu"))
