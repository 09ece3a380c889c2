"""dropout: x times Bernoulli(1 - p) / (1 - p), element by element (Srivastava et al. 2014)."""

from torch.nn import functional as F

from lm_plugins.ops import cpu_kernels
from lm_plugins.ops.dropout.counted import dropout as counted

IMPLEMENTATIONS = ("torch", "naive", "cpu")


def dropout(x, p, *, impl=None):
    """Drops elements of x, any shape, with probability p; a new mask at each call, by torch's random state.

    torch's own draws with a generator that goes number by number, at some 7 ns each on a CPU, and keeps
    the mask. The kernel's generator counts: it takes 1.4 ns an element for all, and backward draws the
    mask again. The masks of "naive" and "cpu" are the same, those of "torch" are others.

    Args:
        impl: one of IMPLEMENTATIONS; None: cpu where its kernels serve, else torch

    Raises:
        ValueError: p is not in [0, 1), or an unknown `impl`
        RuntimeError: the kernels of `impl` are not there, or not for x
    """
    if not 0 <= p < 1:
        raise ValueError(f"the dropout probability must be at least 0 and below 1, not {p}")
    served = cpu_kernels.serves(x)
    impl = impl or ("cpu" if served else "torch")
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"dropout has no impl '{impl}': choose from {IMPLEMENTATIONS}")
    if impl == "cpu" and not served:
        raise RuntimeError("dropout: " + cpu_kernels.not_served())
    if p == 0:
        return x
    return F.dropout(x, p) if impl == "torch" else counted(x, p, impl)
