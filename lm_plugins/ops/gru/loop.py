"""The GRU as a loop over time, after one product with the inputs of the whole window."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lm_plugins.ops.recurrence import State, recurrence


def gru(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [3H, D], [3H, H], [3H], [3H]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor]]:  # [T, B, H], ([B, H],)
    w, u, b_ih, b_hh = weights
    projected = F.linear(x, w, b_ih).to(state[0].dtype)

    def step(state: State, projected_t: Tensor) -> tuple[Tensor, State]:
        (h,) = state
        r, z, n = projected_t.chunk(3, dim=1)
        u_r, u_z, u_n = F.linear(h, u, b_hh).chunk(3, dim=1)
        r, z = torch.sigmoid(r + u_r), torch.sigmoid(z + u_z)
        h = (1 - z) * torch.tanh(n + r * u_n) + z * h
        return h, (h,)

    return recurrence(step, state, (projected,), reset)
