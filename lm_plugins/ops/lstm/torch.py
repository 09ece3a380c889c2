"""torch.lstm, which runs in cuDNN on a GPU and in oneDNN on a CPU."""

import torch
from torch import Tensor


def lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H] each
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [4H, D], [4H, H], [4H], [4H]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], [B, H] each
    """Run the layer outside autocast: oneDNN's bfloat16 LSTM rounds the cell, and learns worse."""
    h, c = (tensor.unsqueeze(0).contiguous() for tensor in state)
    with torch.autocast(x.device.type, enabled=False):
        y, h, c = torch.lstm(
            x.to(h.dtype),
            (h, c),
            [weight.contiguous() for weight in weights],
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=torch.is_grad_enabled(),  # else cuDNN does not save what its backward pass needs
            bidirectional=False,
            batch_first=False,
        )
    return y, (h.squeeze(0), c.squeeze(0))
