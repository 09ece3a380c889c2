"""Dropout on sequences [T, B, C], with one mask for all steps or a new one at each step."""

from torch import Tensor, nn

from lm_plugins.modules.dropout_mask import check_probability, stream_mask


class StepDropout(nn.Module):
    """y_t = m_t * x_t with a new mask at each step (Zaremba et al. 2014, arXiv:1409.2329).

    In evaluation and for p = 0 this is the identity, and no random number is drawn.

    Args:
        p: probability of a zero, in [0, 1)

    Raises:
        ValueError: `p` is out of range.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = check_probability(p, "dropout")

    def forward(self, x: Tensor) -> Tensor:  # [T, B, C]
        if not self.training or self.p == 0:
            return x
        return x * stream_mask(x, self.p, self.steps(x))

    def steps(self, x: Tensor) -> int:
        """Return the number of masks for a window."""
        return x.size(0)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class LockedDropout(StepDropout):
    """y_t = m * x_t with one mask for all steps of a window, and a different one for each stream.

    This is the variational dropout of Gal and Ghahramani (2015, arXiv:1512.05287), as in AWD-LSTM
    (arXiv:1708.02182).
    """

    def steps(self, x: Tensor) -> int:
        return 1
