"""The LSTM as a loop over time, after one product with the inputs of the whole window."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lm_plugins.ops.recurrence import State, recurrence


def lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [4N, D], [4N, H], [4N], [4N] and optionally [H, N]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], ([B, H], [B, N])
    w, u, b_ih, b_hh, *projection = weights
    projected = F.linear(x, w, b_ih + b_hh).to(state[0].dtype)

    def step(state: State, projected_t: Tensor) -> tuple[Tensor, State]:
        h, c = state
        i, f, g, o = (F.linear(h, u) + projected_t).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        for p in projection:  # one at most
            h = F.linear(h, p)
        return h, (h, c)

    return recurrence(step, state, (projected,), reset)
