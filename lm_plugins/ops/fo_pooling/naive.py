"""The definition of fo_pooling, step by step: slow, clear, and what the others are tested against."""

import torch


def fo_pooling(gates, c0, f_factor, reset):
    z, f, o = gates.to(c0.dtype).chunk(3, dim=-1)
    z, f, o = torch.tanh(z), torch.sigmoid(f) * f_factor, torch.sigmoid(o)
    c, outputs = c0, []
    for t in range(len(gates)):
        if reset is not None:
            c = c.masked_fill(reset[t].unsqueeze(-1), 0)
        c = f[t] * z[t] + (1 - f[t]) * c
        outputs.append(o[t] * c)
    return torch.stack(outputs) if outputs else torch.empty_like(z), c
