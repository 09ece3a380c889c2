"""The definition of the LSTM, step by step: slow, clear, and what the others are tested against."""

import torch


def lstm(x, state, weights, candidate_mask=None, reset=None):
    (h, c), (w, u, b_ih, b_hh) = state, weights
    outputs = []
    for t, x_t in enumerate(x):
        if reset is not None:
            h, c = (torch.where(reset[t].unsqueeze(1), 0.0, part) for part in (h, c))
        i, f, g, o = (w @ x_t.T + u @ h.T + (b_ih + b_hh)[:, None]).T.chunk(4, dim=1)
        g = torch.tanh(g) if candidate_mask is None else candidate_mask[t] * torch.tanh(g)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * g
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h, c)
