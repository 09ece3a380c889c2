"""layer_norm_lstm: one LSTM layer with layer normalisation (Ba et al. 2016, arXiv:1607.06450) over a window.

    N(a; s, d) = s * (a - mean(a)) / sqrt(var(a) + eps) + d         for each step, stream and gate

    i, f, o = sigmoid(N(W x_t + U h_{t-1}))         g = tanh(N(W x_t + U h_{t-1}))
    c_t = N(f * c_{t-1} + i * m_t * g)              h_t = o * tanh(c_t)

Each gate and the cell have their own scale s and shift d. This is the cell of TensorFlow's
LayerNormBasicLSTMCell and of OpenSeq2Seq: W x_t + U h_{t-1} is normalised as one sum, and the next step gets
the normalised cell. The paper normalises W x_t and U h_{t-1} separately, and the cell only for h_t.

m_t is the candidate mask, as in :mod:`lm_plugins.ops.lstm`. h_{t-1} and c_{t-1} are replaced by zero where
the state is reset.
"""

from typing import NamedTuple

from torch import Tensor

from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.layer_norm_lstm.naive import layer_norm_lstm as naive
from lm_plugins.ops.layer_norm_lstm.torch import layer_norm_lstm as in_torch
from lm_plugins.ops.resets import Resets


class Weights(NamedTuple):
    """The weights of the layer, with the gates in torch's order i, f, g, o."""

    w: Tensor  # [4H, D]
    u: Tensor  # [4H, H]
    gate_scale: Tensor  # [4, H]
    gate_shift: Tensor  # [4, H]
    cell_scale: Tensor  # [H]
    cell_shift: Tensor  # [H]


def layer_norm_lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H] each
    weights: Weights,
    candidate_mask: Tensor | None = None,  # [T, B, H]
    reset: Resets | None = None,
    *,
    eps: float,
    impl: str | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run the layer over x.

    Args:
        x: inputs
        state: (h, c) before the first step
        weights: W, U, and scale and shift of the normalisations
        candidate_mask: m; None: ones
        reset: the steps before which the state is reset; None: nowhere
        eps: added to the variance
        impl: "torch": a loop over time, after one product with all inputs; "naive": the definition; None:
            the first of these

    Returns:
        (h [T, B, H], (h_T, c_T))

    Raises:
        ValueError: there is no such `impl`.
    """
    function = {"torch": in_torch, "naive": naive}
    impl = choose("layer_norm_lstm", impl, dict.fromkeys(function))
    return function[impl](x, state, weights, candidate_mask, None if reset is None else reset.mask, eps)
