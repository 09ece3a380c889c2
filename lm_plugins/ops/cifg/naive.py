"""The definition of the LSTM with coupled gates, step by step: slow, clear, the reference of the tests."""

import torch
from torch import Tensor


def cifg(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [3N, D], [3N, H], [3N] and optionally [H, N]
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], ([B, H], [B, N])
    (h, c), (w, u, b, *projection) = state, weights
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            h, c = (torch.where(reset[t].unsqueeze(1), 0.0, tensor) for tensor in (h, c))
        f, g, o = (w @ x_t.T + u @ h.T + b[:, None]).T.chunk(3, dim=1)
        f = torch.sigmoid(f)
        c = f * c + (1 - f) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        for p in projection:  # one at most
            h = (p @ h.T).T
        outputs.append(h)
    return torch.stack(outputs), (h, c)
