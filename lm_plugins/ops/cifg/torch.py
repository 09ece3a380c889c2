"""The LSTM with coupled gates as a loop over time, after one product with the inputs of the whole window.

No fused kernel of torch supports it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lm_plugins.ops.recurrence import State, recurrence


def cifg(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [3N, D], [3N, H], [3N] and optionally [H, N]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], ([B, H], [B, N])
    w, u, b, *projection = weights
    projected = F.linear(x, w, b).to(state[0].dtype)  # may be autocast; the recurrence is not

    def step(state: State, projected_t: Tensor) -> tuple[Tensor, State]:
        h, c = state
        f, g, o = (F.linear(h, u) + projected_t).chunk(3, dim=1)
        g = torch.tanh(g)
        c = torch.addcmul(g, torch.sigmoid(f), c - g)
        h = torch.sigmoid(o) * torch.tanh(c)
        for p in projection:  # one at most
            h = F.linear(h, p)
        return h, (h, c)

    return recurrence(step, state, (projected,), reset)
