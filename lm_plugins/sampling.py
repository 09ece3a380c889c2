"""Draw a token from a distribution, sharpened by a temperature and cut to its head."""

import torch
from torch import Tensor


def draw(
    log_prob: Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the id of a token, [].

    Args:
        log_prob: ln p of each token, [V]; -inf for tokens that must not be drawn
        temperature: divides `log_prob`; 0: the most likely token
        top_k: draw from the k most likely tokens; 0: from all
        top_p: draw from the fewest tokens whose probabilities sum to this (Holtzman et al. 2019,
            arXiv:1904.09751); after `top_k`
        generator: of the draw; None: torch's global one
    """
    if temperature == 0:
        return log_prob.argmax()
    p, order = torch.softmax(log_prob / temperature, dim=-1).sort(descending=True)
    p = keep_top_p(keep_top_k(p, top_k), top_p)
    return order[torch.multinomial(p, 1, generator=generator)].squeeze(0)


def keep_top_k(p: Tensor, k: int) -> Tensor:
    """Return descending probabilities [V] with all but the first `k` set to 0; `k` 0: unchanged.

    [0.5, 0.3, 0.2] and 2 -> [0.5, 0.3, 0]
    """
    return torch.cat([p[:k], torch.zeros_like(p[k:])]) if k else p


def keep_top_p(p: Tensor, mass: float) -> Tensor:
    """Return descending weights [V] with all set to 0 but the fewest that sum to `mass` of the total.

    [0.5, 0.3, 0.2] and 0.6 -> [0.5, 0.3, 0]: the first alone has less than 0.6.
    """
    return p.masked_fill(p.cumsum(0) - p >= mass * p.sum(), 0)
