"""The simple recurrent layer as a loop over time, after one product with the inputs of the whole window."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lm_plugins.ops.recurrence import State, recurrence


def simple_rnn(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [H, D], [H, H], [H], [H]
    function: Callable[[Tensor], Tensor],
    reset: Tensor | None = None,  # [T, B]
) -> tuple[Tensor, tuple[Tensor]]:  # [T, B, H], ([B, H],)
    w, u, b_ih, b_hh = weights
    projected = F.linear(x, w, b_ih + b_hh).to(state[0].dtype)  # may be autocast; the recurrence is not

    def step(state: State, projected_t: Tensor) -> tuple[Tensor, State]:
        h = function(torch.addmm(projected_t, state[0], u.T))
        return h, (h,)

    return recurrence(step, state, (projected,), reset)
