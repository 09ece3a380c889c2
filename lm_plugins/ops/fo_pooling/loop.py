"""fo_pooling as a loop over time, which torch.export can trace."""

import torch
from torch import Tensor

from lm_plugins.ops.recurrence import State, recurrence


def fo_pooling(
    gates: Tensor,  # [T, B, 3 H]
    c0: Tensor,  # [B, H]
    f_factor: float | Tensor,  # [T, B, H]
    reset: Tensor | None,  # [T, B]
) -> tuple[Tensor, Tensor]:  # [T, B, H], [B, H]
    z, f, o = gates.to(c0.dtype).chunk(3, dim=-1)
    z, f, o = torch.tanh(z), torch.sigmoid(f) * f_factor, torch.sigmoid(o)

    def step(state: State, z_t: Tensor, f_t: Tensor) -> tuple[Tensor, State]:
        c = f_t * z_t + (1 - f_t) * state[0]
        return c, (c,)

    c, (last,) = recurrence(step, (c0,), (z, f), reset)
    return o * c, last
