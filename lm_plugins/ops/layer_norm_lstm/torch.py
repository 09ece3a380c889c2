"""The layer-normalised LSTM as a loop over time, after one product with the inputs of the whole window.

No fused kernel supports it. A step is one matrix product, two normalisations (the four gates are one of them)
and the element-wise operations.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lm_plugins.ops.recurrence import State, recurrence


def layer_norm_lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H] each
    weights: tuple[Tensor, ...],  # [4H, D], [4H, H], [4, H], [4, H], [H], [H]
    candidate_mask: Tensor | None,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
    eps: float,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], [B, H] each
    w, u, gate_scale, gate_shift, cell_scale, cell_shift = weights
    size = cell_scale.shape
    projected = F.linear(x, w).to(state[0].dtype)  # may be autocast; the recurrence is not

    def step(state: State, projected_t: Tensor, *mask: Tensor) -> tuple[Tensor, State]:
        h, c = state
        gates = torch.addmm(projected_t, h, u.T).unflatten(1, gate_scale.shape)
        gates = torch.addcmul(gate_shift, gate_scale, F.layer_norm(gates, size, eps=eps))
        i, f, g, o = gates.unbind(1)
        g = torch.tanh(g)
        for mask_t in mask:  # one at most
            g = g * mask_t
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
        c = F.layer_norm(c, size, cell_scale, cell_shift, eps)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    masks = () if candidate_mask is None else (candidate_mask,)
    return recurrence(step, state, (projected, *masks), reset)
