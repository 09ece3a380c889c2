"""The definition of fo_pooling, step by step: slow, clear, and the reference of the tests."""

import torch
from torch import Tensor


def fo_pooling(
    gates: Tensor,  # [T, B, 3 H]
    c0: Tensor,  # [B, H]
    f_factor: float | Tensor,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
) -> tuple[Tensor, Tensor]:  # [T, B, H], [B, H]
    z, f, o = gates.to(c0.dtype).chunk(3, dim=-1)
    z, f, o = torch.tanh(z), torch.sigmoid(f) * f_factor, torch.sigmoid(o)
    c, outputs = c0, []
    for t in range(len(gates)):
        if reset is not None:
            c = c.masked_fill(reset[t].unsqueeze(-1), 0)
        c = f[t] * z[t] + (1 - f[t]) * c
        outputs.append(o[t] * c)
    return torch.stack(outputs) if outputs else torch.empty_like(z), c
