"""The simple recurrent layer as a loop over time, after one product with the inputs of the whole window."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def simple_rnn(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [H, D], [H, H], [H], [H]
    function: Callable[[Tensor], Tensor],
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor]]:  # [T, B, H], ([B, H],)
    (h,), (w, u, b_ih, b_hh) = state, weights
    projected = F.linear(x, w, b_ih + b_hh).to(h.dtype)  # may be autocast; the recurrence is not
    outputs = []
    with torch.autocast(x.device.type, enabled=False):
        for t, step in enumerate(projected):
            if reset is not None:
                h = h.masked_fill(reset[t].unsqueeze(1), 0)
            h = function(torch.addmm(step, h, u.T))
            outputs.append(h)
    return torch.stack(outputs), (h,)
