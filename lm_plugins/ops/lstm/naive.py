"""The definition of the LSTM, step by step: slow, clear, and the reference of the tests."""

import torch
from torch import Tensor


def lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [4N, D], [4N, H], [4N], [4N] and optionally [H, N]
    candidate_mask: Tensor | None = None,  # [T, B, N]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], ([B, H], [B, N])
    (h, c), (w, u, b_ih, b_hh, *projection) = state, weights
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            h, c = (torch.where(reset[t].unsqueeze(1), 0.0, tensor) for tensor in (h, c))
        i, f, g, o = (w @ x_t.T + u @ h.T + (b_ih + b_hh)[:, None]).T.chunk(4, dim=1)
        g = torch.tanh(g) if candidate_mask is None else candidate_mask[t] * torch.tanh(g)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
        h = torch.sigmoid(o) * torch.tanh(c)
        for p in projection:  # one at most
            h = (p @ h.T).T
        outputs.append(h)
    return torch.stack(outputs), (h, c)
