"""cifg: one LSTM layer whose input and forget gates are coupled, i = 1 - f, over a window.

    f, o = sigmoid(W x_t + U h_{t-1} + b)           g = tanh(W x_t + U h_{t-1} + b)
    c_t = f * c_{t-1} + (1 - f) * g                 h_t = o * tanh(c_t), or P (o * tanh(c_t))

This is the variant CIFG of Greff et al. (2015, arXiv:1503.04069), with three quarters of the parameters and
of the products of an LSTM. Theirs has peephole connections and no projection P; P is that of an LSTMP (Sak et
al. 2014, arXiv:1402.1128). h_{t-1} and c_{t-1} are replaced by zero where the state is reset.
"""

from torch import Tensor

from lm_plugins.ops.cifg.naive import cifg as naive
from lm_plugins.ops.cifg.torch import cifg as in_torch
from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.resets import Resets


def cifg(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H], [B, N]
    weights: tuple[Tensor, ...],  # [3N, D], [3N, H], [3N] and optionally [H, N]
    reset: Resets | None = None,
    *,
    impl: str | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run the layer over x.

    Args:
        x: inputs
        state: (h, c) before the first step; N cells, and H = N without a projection
        weights: (W, U, b), with the gates in the order f, g, o, or (W, U, b, P)
        reset: the steps before which the state is reset; None: nowhere
        impl: "torch": a loop over time, after one product with all inputs; "naive": the definition; None:
            the first of these

    Returns:
        (h [T, B, H], (h_T, c_T))

    Raises:
        ValueError: there is no such `impl`.
    """
    function = {"torch": in_torch, "naive": naive}
    impl = choose("cifg", impl, dict.fromkeys(function))
    return function[impl](x, state, weights, None if reset is None else reset.mask)
