"""simple_rnn: one simple recurrent layer over a window (Elman 1990).

    h_t = f(W x_t + U h_{t-1} + b + b')

f is the logistic function in equation 1 of the Torch blog's post on noise-contrastive estimation (Leonard
2016), and tanh in torch.nn.RNN. h_{t-1} is replaced by zero where the state is reset.
"""

import torch
from torch import Tensor

from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.fused_rnn import fused_rnn
from lm_plugins.ops.resets import Resets
from lm_plugins.ops.simple_rnn.loop import simple_rnn as loop
from lm_plugins.ops.simple_rnn.naive import simple_rnn as naive

TANH_ONLY = "torch's simple RNN supports tanh only: use impl='loop'"


def simple_rnn(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor],  # [B, H]
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [H, D], [H, H], [H], [H]
    reset: Resets | None = None,
    *,
    nonlinearity: str = "sigmoid",
    impl: str | None = None,
) -> tuple[Tensor, tuple[Tensor]]:
    """Run the layer over x.

    Args:
        x: inputs
        state: (h,) before the first step
        weights: (W, U, b, b')
        reset: the steps before which the state is reset; None: nowhere
        nonlinearity: f, "sigmoid" or "tanh"
        impl: "torch": torch.rnn_tanh, over packed sequences if there are resets; "loop": a loop over time
            after one product with all inputs; "naive": the definition; None: the first of these that supports
            the call

    Returns:
        (h [T, B, H], (h_T,))

    Raises:
        ValueError: there is no such `impl`.
        RuntimeError: `impl` is "torch" and f is not tanh.
    """
    checks = {"torch": lambda: None if nonlinearity == "tanh" else TANH_ONLY, "loop": None, "naive": None}
    impl = choose("simple_rnn", impl, checks)
    if impl == "torch":
        return fused_rnn(torch.rnn_tanh, x, state, weights, reset)
    mask = None if reset is None else reset.mask
    function = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}[nonlinearity]
    return (naive if impl == "naive" else loop)(x, state, weights, function, mask)
