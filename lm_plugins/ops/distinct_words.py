"""Draw K distinct words from a distribution, and compute how often each word is expected among them."""

from collections.abc import Callable

import torch
from torch import Tensor


def distinct_words(
    draw: Callable[[tuple[int, ...]], Tensor],
    shape: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Draw words until each set has K distinct ones.

    Source: the samplers of TensorFlow with ``unique=True``.

    Args:
        draw: a function from a shape to independent words
        shape: [..., K], sets of K words

    Returns:
        (words [..., K] in the order in which they were first drawn, number of draws of each set [...])
    """
    *sets, k = shape
    one = torch.Size(sets).numel()
    words, tries = zip(*(_distinct(draw, k) for _ in range(one)), strict=True)
    tries = torch.tensor(tries, device=words[0].device)
    return torch.stack(words).view(shape), tries.view(sets)


def _distinct(draw: Callable[[tuple[int, ...]], Tensor], k: int) -> tuple[Tensor, int]:
    """Return K distinct words [K] and the number of draws that it took to find them."""
    drawn = draw((2 * k,))
    while True:
        found, inverse = drawn.unique(return_inverse=True)
        if len(found) >= k:
            break
        drawn = torch.cat([drawn, draw((len(drawn),))])
    positions = torch.arange(len(drawn), device=drawn.device)
    first = torch.full_like(found, len(drawn)).scatter_reduce_(0, inverse, positions, "amin")
    first = first.sort().values[:k]
    return drawn[first], int(first[-1]) + 1


def log_expected_count(log_q: Tensor, tries: Tensor) -> Tensor:
    """Return the logarithm of the expected number of times that a word is among distinct words.

        E = 1 - (1 - q)^tries

    This is the probability that a word is drawn at least once in `tries` draws.

    Args:
        log_q: ln q of the words [...]
        tries: number of draws, broadcastable to `log_q`

    Returns:
        ln E, [...] in float64
    """
    return torch.log(-torch.expm1(tries * torch.log1p(-log_q.double().exp())))
