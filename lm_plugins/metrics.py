"""Perplexity and bits, from negative log-likelihoods in nats."""

import math

OVERFLOW = 700.0  # nats; math.exp overflows not far above


def perplexity(nats: float, targets: int) -> float:
    """Return exp(nats / targets), or inf where that overflows a float."""
    return math.exp(nats / targets) if nats / targets < OVERFLOW else math.inf


def bits(nats: float, count: int) -> float:
    """Return nats / count in bits: bits per token, or bits per character (bpc) if `count` counts those."""
    return nats / count / math.log(2)
