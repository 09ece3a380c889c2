"""The definition of a mask by a counter-based generator: Philox4x32-10 (Salmon et al. 2011, SC'11).

Element e takes word w of the block with the counter 32 b + j, where e = 128 b + 32 w + j, and is kept if
that is below (1 - p) 2^32.
"""

import torch

LANES, WORDS, LOW = 32, 4, 0xFFFFFFFF


def philox(counter, seed):
    """The four words of 32 bits of each counter [...], a list of int64 [...]."""
    zero = torch.zeros_like(counter)
    x = [counter & LOW, counter >> 32, zero, zero]
    keys = [seed & LOW, seed >> 32]
    for _ in range(10):
        (low_a, high_a), (low_b, high_b) = _product(0xD2511F53, x[0]), _product(0xCD9E8D57, x[2])
        x = [high_b ^ x[1] ^ keys[0], low_b, high_a ^ x[3] ^ keys[1], low_a]
        keys = [(keys[0] + 0x9E3779B9) & LOW, (keys[1] + 0xBB67AE85) & LOW]
    return x


def _product(a, b):
    """The low and the high word of a b, by halves of b, for which int64 has room."""
    low, high = a * (b & 0xFFFF), a * (b >> 16)
    middle = (low >> 16) + high
    return (low & 0xFFFF) | ((middle & 0xFFFF) << 16), middle >> 16


def threshold(p):
    return min(LOW, round((1 - p) * 2**32))


def dropout(x, p, seed, y):
    """Writes x m / (1 - p) to y, m drawn with `seed`, an integer of 63 bits."""
    element = torch.arange(x.numel())
    block, inside = element // (LANES * WORDS), element % (LANES * WORDS)
    words = torch.stack(philox(block * LANES + inside % LANES, seed))
    drawn = words.gather(0, (inside // LANES).unsqueeze(0)).squeeze(0)
    y.view(-1).copy_(torch.where(drawn < threshold(p), x.reshape(-1) * (1 / (1 - p)), 0))
