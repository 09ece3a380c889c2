"""The layer-normalised LSTM as a loop over time, after one product with the inputs of the whole window.

No fused kernel supports it. A step is one matrix product, two normalisations (the four gates are one of them)
and the element-wise operations.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def layer_norm_lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H] each
    weights: tuple[Tensor, ...],  # [4H, D], [4H, H], [4, H], [4, H], [H], [H]
    candidate_mask: Tensor | None,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
    eps: float,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], [B, H] each
    (h, c), (w, u, gate_scale, gate_shift, cell_scale, cell_shift) = state, weights
    size = cell_scale.shape
    projected = F.linear(x, w).to(h.dtype)  # may be autocast; the recurrence is not
    outputs = []
    with torch.autocast(x.device.type, enabled=False):
        for t, step in enumerate(projected):
            if reset is not None:
                h, c = (tensor.masked_fill(reset[t].unsqueeze(1), 0) for tensor in (h, c))
            gates = torch.addmm(step, h, u.T).unflatten(1, gate_scale.shape)
            gates = torch.addcmul(gate_shift, gate_scale, F.layer_norm(gates, size, eps=eps))
            i, f, g, o = gates.unbind(1)
            g = torch.tanh(g) if candidate_mask is None else torch.tanh(g) * candidate_mask[t]
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
            c = F.layer_norm(c, size, cell_scale, cell_shift, eps)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
    return torch.stack(outputs), (h, c)
