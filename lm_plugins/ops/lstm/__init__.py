"""lstm: one LSTM layer over a window (Hochreiter and Schmidhuber 1997), with its weights as arguments.

    i, f, o = sigmoid(W x_t + U h_{t-1} + b)        g = tanh(W x_t + U h_{t-1} + b)
    c_t = f * c_{t-1} + i * m_t * g                 h_t = o * tanh(c_t), or P (o * tanh(c_t))

m_t is the candidate mask, if there is one: recurrent dropout without memory loss (Semeniuta et al. 2016,
arXiv:1603.05118). P is the projection of an LSTMP (Sak et al. 2014, arXiv:1402.1128), if there is one.
h_{t-1} and c_{t-1} are replaced by zero where the state is reset.
"""

import torch
from torch import Tensor

from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.fused_rnn import fused_rnn
from lm_plugins.ops.lstm.loop import lstm as loop
from lm_plugins.ops.lstm.masked import lstm as masked
from lm_plugins.ops.lstm.naive import lstm as naive
from lm_plugins.ops.resets import Resets

NO_MASK = "it does not support a candidate mask: use impl='masked'"


def lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [4N, D], [4N, H], [4N], [4N] and optionally [H, N]
    candidate_mask: Tensor | None = None,  # [T, B, N]
    reset: Resets | None = None,
    *,
    impl: str | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run the layer over x.

    Args:
        x: inputs
        state: (h, c) before the first step; N cells, and H = N without a projection
        weights: (W, U, b_ih, b_hh), with the gates in torch's order i, f, g, o, or (W, U, b_ih, b_hh, P)
        candidate_mask: m; None: ones
        reset: the steps before which the state is reset; None: nowhere
        impl: "torch": torch.lstm, over packed sequences if there are resets; "masked": an autograd node with
            a loop over time; "loop": a loop over time that torch.export can trace; "naive": the definition;
            None: the first of these that supports the call, and "loop" while torch.export traces it

    Returns:
        (h [T, B, H], (h_T, c_T))

    Raises:
        ValueError: there is no such `impl`.
        RuntimeError: `impl` is "torch" or "loop" and there is a candidate mask.
    """

    def no_mask() -> str | None:
        return None if candidate_mask is None else NO_MASK

    impl = choose("lstm", impl, {"torch": no_mask, "masked": None, "loop": no_mask, "naive": None})
    if impl == "torch":
        return fused_rnn(torch.lstm, x, state, weights, reset)
    mask = None if reset is None else reset.mask
    if impl == "loop":
        return loop(x, state, weights, mask)
    return (naive if impl == "naive" else masked)(x, state, weights, candidate_mask, mask)
