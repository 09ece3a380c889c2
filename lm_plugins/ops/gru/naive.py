"""The definition of the GRU, step by step: slow, clear, and the reference of the tests."""

import torch
from torch import Tensor


def gru(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [3H, D], [3H, H], [3H], [3H]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor]]:  # [T, B, H], ([B, H],)
    (h,), (w, u, b_ih, b_hh) = state, weights
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            h = torch.where(reset[t].unsqueeze(1), 0.0, h)
        r, z, n = (w @ x_t.T + b_ih[:, None]).T.chunk(3, dim=1)
        u_r, u_z, u_n = (u @ h.T + b_hh[:, None]).T.chunk(3, dim=1)
        r, z = torch.sigmoid(r + u_r), torch.sigmoid(z + u_z)
        h = (1 - z) * torch.tanh(n + r * u_n) + z * h
        outputs.append(h)
    return torch.stack(outputs), (h,)
