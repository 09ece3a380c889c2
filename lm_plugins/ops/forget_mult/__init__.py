"""forget_mult: the recurrence of the QRNN's fo-pooling (Bradbury et al. 2016, arXiv:1611.01576)."""

from lm_plugins.ops.forget_mult.naive import forget_mult as naive
from lm_plugins.ops.forget_mult.sequential import forget_mult as sequential

IMPLEMENTATIONS = {"naive": naive, "sequential": sequential}
BEST = "sequential"


def forget_mult(z, f, c0=None, *, impl=None):
    """c_t = f_t * z_t + (1 - f_t) * c_{t-1}.

    f lets the new value in, as in torchqrnn; it is one minus the forget gate of the paper.

    Args:
        z: candidates, [T, B, C]
        f: gates in [0, 1], [T, B, C]
        c0: state before the first step, [B, C]; None: zeros
        impl: one of IMPLEMENTATIONS; None: the best one

    Returns:
        c, [T, B, C]

    Raises:
        ValueError: shapes that do not fit, or an unknown `impl`.
    """
    if z.dim() != 3 or z.shape != f.shape or (c0 is not None and c0.shape != z.shape[1:]):
        raise ValueError(
            f"forget_mult takes z and f of one shape [T, B, C] and c0 of [B, C], not "
            f"{tuple(z.shape)}, {tuple(f.shape)} and {c0 if c0 is None else tuple(c0.shape)}"
        )
    if impl is not None and impl not in IMPLEMENTATIONS:
        raise ValueError(f"forget_mult has no impl '{impl}': choose from {sorted(IMPLEMENTATIONS)}")
    if c0 is None:
        c0 = z.new_zeros(z.shape[1:])
    return IMPLEMENTATIONS[impl or BEST](z, f, c0)
