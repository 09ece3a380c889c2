"""The definition of the layer-normalised LSTM, step by step: slow, clear, and the reference of the tests."""

import torch
from torch import Tensor


def normalised(a: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:  # [B, H], [H], [H] -> [B, H]
    centred = a - a.mean(dim=1, keepdim=True)
    variance = (centred * centred).mean(dim=1, keepdim=True)
    return scale * centred / torch.sqrt(variance + eps) + shift


def layer_norm_lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H] each
    weights: tuple[Tensor, ...],  # [4H, D], [4H, H], [4, H], [4, H], [H], [H]
    candidate_mask: Tensor | None,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
    eps: float,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], [B, H] each
    (h, c), (w, u, gate_scale, gate_shift, cell_scale, cell_shift) = state, weights
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            h, c = (torch.where(reset[t].unsqueeze(1), 0.0, tensor) for tensor in (h, c))
        gates = (w @ x_t.T + u @ h.T).T.chunk(4, dim=1)
        i, f, g, o = (
            normalised(gate, scale, shift, eps)
            for gate, scale, shift in zip(gates, gate_scale, gate_shift, strict=True)
        )
        g = torch.tanh(g) if candidate_mask is None else candidate_mask[t] * torch.tanh(g)
        c = normalised(torch.sigmoid(f) * c + torch.sigmoid(i) * g, cell_scale, cell_shift, eps)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h, c)
