"""Draw tokens from distributions, sharpened by a temperature and cut to their heads."""

import torch
from torch import Tensor

HEAD = 1024  # the number of most likely tokens that usually include those of top_p


def draw(
    log_prob: Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the id of a token for each row, [...].

    Args:
        log_prob: ln p of each token, [..., V]; -inf for tokens that must not be drawn
        temperature: divides `log_prob`; 0: the most likely token
        top_k: draw from the k most likely tokens; 0: draw from all
        top_p: draw from the fewest tokens whose probabilities sum to this (Holtzman et al. 2019,
            arXiv:1904.09751); after `top_k`
        generator: of the draw; None: torch's global one
    """
    if temperature == 0:
        return log_prob.argmax(dim=-1)
    # The largest is 0, which no temperature above 0 makes infinite.
    p = torch.softmax((log_prob - log_prob.amax(-1, keepdim=True)) / temperature, dim=-1)
    if not top_k and top_p >= 1:
        return choose(p, generator)
    p, order = head(p, top_k, top_p)
    return order.gather(-1, choose(p, generator).unsqueeze(-1)).squeeze(-1)


def choose(weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an index with probability proportional to `weights` [..., V], at least 0, for each row, [...].

    One uniform number is compared with the cumulative weights. ``torch.multinomial`` draws V numbers.
    """
    sums = weights.cumsum(-1, dtype=torch.float64)
    total = sums[..., -1:]
    uniform = torch.rand(total.shape, generator=generator, dtype=torch.float64, device=weights.device)
    # Below the total, so that the first sum above it belongs to a weight above 0.
    threshold = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(sums, threshold, right=True).squeeze(-1)


def head(p: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """Return the probabilities of the most likely tokens in descending order, [..., K], and their ids.

    Those that `top_p` leaves out are 0. Sorting all V probabilities would take longer than a step of a small
    model, so all are sorted only where `top_p` needs more than HEAD.
    """
    likeliest, order = p.topk(min(top_k or HEAD, p.size(-1)))
    total = (likeliest if top_k else p).sum(-1, keepdim=True)
    if not top_k and bool((likeliest.sum(-1, keepdim=True) < top_p * total).any()):
        likeliest, order = p.sort(descending=True)
    return (keep_mass(likeliest, top_p * total) if top_p < 1 else likeliest), order


def keep_mass(weights: Tensor, mass: Tensor) -> Tensor:
    """Return descending `weights` [..., K] with all set to 0 but the fewest that sum to `mass` [..., 1].

    [0.5, 0.3, 0.2] and 0.6 -> [0.5, 0.3, 0]: the first alone has less than 0.6.
    """
    before = weights.cumsum(-1) - weights
    return weights.masked_fill((before >= mass) & (before > 0), 0)  # the first is kept for any mass
