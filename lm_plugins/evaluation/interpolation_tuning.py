"""Find the weights of an interpolation that fit a text best, by EM."""

import torch
from torch import Tensor

STEPS = 10_000  # at most
TOLERANCE = 1e-9  # the steps end when no weight changes by more than this


def em_weights(log_probs: Tensor) -> Tensor:
    """Return the weights that maximise sum_n ln sum_i weight_i p_i(n), [K], in float64.

    Each step replaces a weight by the mean posterior probability of its model,
    weight_i <- (1 / N) sum_n weight_i p_i(n) / sum_j weight_j p_j(n). The sum never decreases, and it is
    concave, so the weights converge to the best ones.

    Source: Dempster, Laird and Rubin (1977); for language models Jelinek and Mercer (1980).

    Args:
        log_probs: ln p_i of each target, [K, N]
    """
    log_probs = log_probs.double()
    p = (log_probs - log_probs.amax(0)).exp()  # [K, N], a factor for each target cancels in the posterior
    weights = torch.full((len(p),), 1 / len(p), dtype=torch.float64)
    for _ in range(STEPS):
        updated = weights * (p / (weights @ p)).mean(1)
        converged = bool((updated - weights).abs().max() <= TOLERANCE)
        weights = updated
        if converged:
            break
    return weights / weights.sum()
