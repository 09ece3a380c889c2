"""lstm: one LSTM layer over a window (Hochreiter and Schmidhuber 1997), weights passed as values.

    i, f, o = sigmoid(W x_t + U h_{t-1} + b)        g = tanh(W x_t + U h_{t-1} + b)
    c_t = f * c_{t-1} + i * m_t * g                 h_t = o * tanh(c_t)

m_t is the candidate mask, if any: recurrent dropout without memory loss (Semeniuta et al. 2016,
arXiv:1603.05118). Where a sentence begins that knows nothing of what came before, h_{t-1} and
c_{t-1} are zero.
"""

from lm_plugins.ops.lstm.fused import lstm as fused
from lm_plugins.ops.lstm.masked import lstm as masked
from lm_plugins.ops.lstm.naive import lstm as naive
from lm_plugins.ops.lstm.packed import lstm as packed

IMPLEMENTATIONS = ("naive", "fused", "masked")


def lstm(x, state, weights, candidate_mask=None, reset=None, *, impl=None):
    """Runs the layer over x.

    Args:
        x: [T, B, D]
        state: (h, c) before the first step, [B, H] each
        weights: (W [4H, D], U [4H, H], b_ih [4H], b_hh [4H]), gates in torch's order i, f, g, o
        candidate_mask: m, [T, B, H]; None: ones
        reset: Resets, where the state is forgotten before the step; None: nowhere
        impl: one of IMPLEMENTATIONS; None: fused, or masked if there is a mask

    Returns:
        (h [T, B, H], (h_T, c_T))

    Raises:
        ValueError: an unknown `impl`, or a mask for the fused one, which cannot apply it.
    """
    impl = impl or ("fused" if candidate_mask is None else "masked")
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"lstm has no impl '{impl}': choose from {sorted(IMPLEMENTATIONS)}")
    if impl == "fused":
        if candidate_mask is not None:
            raise ValueError("the fused lstm does not support a candidate mask: use impl='masked'")
        return fused(x, state, weights) if reset is None else packed(x, state, weights, reset.layout)
    reset = None if reset is None else reset.mask
    return (naive if impl == "naive" else masked)(x, state, weights, candidate_mask, reset)
