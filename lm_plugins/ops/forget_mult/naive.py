"""The definition of forget_mult, step by step: slow, clear, and what the others are tested against."""

import torch


def forget_mult(z, f, c0):
    c, states = c0, []
    for z_t, f_t in zip(z, f, strict=True):
        c = f_t * z_t + (1 - f_t) * c
        states.append(c)
    return torch.stack(states) if states else torch.empty_like(z)
