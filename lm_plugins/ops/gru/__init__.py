"""gru: one GRU layer over a window (Cho et al. 2014, arXiv:1406.1078), in the variant of torch.nn.GRU.

    r, z = sigmoid(W x_t + b + U h_{t-1} + b')
    n = tanh(W x_t + b + r * (U h_{t-1} + b'))
    h_t = (1 - z) * n + z * h_{t-1}

h_{t-1} is replaced by zero where the state is reset. The paper applies r to h_{t-1}, before U.
"""

import torch
from torch import Tensor

from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.fused_rnn import fused_rnn
from lm_plugins.ops.gru.loop import gru as loop
from lm_plugins.ops.gru.naive import gru as naive
from lm_plugins.ops.resets import Resets


def gru(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [3H, D], [3H, H], [3H], [3H]
    reset: Resets | None = None,
    *,
    impl: str | None = None,
) -> tuple[Tensor, tuple[Tensor]]:
    """Run the layer over x.

    Args:
        x: inputs
        state: (h,) before the first step
        weights: (W, U, b, b'), with the gates in torch's order r, z, n
        reset: the steps before which the state is reset; None: nowhere
        impl: "torch": torch.gru, over packed sequences if there are resets; "loop": a loop over time that
            torch.export can trace; "naive": the definition; None: the first of these, and "loop" while
            torch.export traces it

    Returns:
        (h [T, B, H], (h_T,))

    Raises:
        ValueError: there is no such `impl`.
    """
    impl = choose("gru", impl, {"torch": None, "loop": None, "naive": None})
    if impl == "torch":
        return fused_rnn(torch.gru, x, state, weights, reset)
    return (loop if impl == "loop" else naive)(x, state, weights, None if reset is None else reset.mask)
