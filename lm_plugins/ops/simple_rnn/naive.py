"""The definition of the simple recurrent layer, step by step, and the reference of the tests."""

from collections.abc import Callable

import torch
from torch import Tensor


def simple_rnn(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [H, D], [H, H], [H], [H]
    function: Callable[[Tensor], Tensor],
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor]]:  # [T, B, H], ([B, H],)
    (h,), (w, u, b_ih, b_hh) = state, weights
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            h = torch.where(reset[t].unsqueeze(1), 0.0, h)
        h = function(w @ x_t.T + u @ h.T + (b_ih + b_hh)[:, None]).T
        outputs.append(h)
    return torch.stack(outputs), (h,)
