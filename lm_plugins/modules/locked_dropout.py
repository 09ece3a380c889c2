"""Dropout on sequences [T, B, C], with one mask for all steps or a new one at each."""

from torch import nn

from lm_plugins.modules.dropout_mask import check_probability, stream_mask


class StepDropout(nn.Module):
    """y_t = m_t * x_t with a new mask at each step (Zaremba et al. 2014, arXiv:1409.2329).

    Identity in evaluation and for p = 0; no random number is drawn then.
    """

    def __init__(self, p):
        super().__init__()
        self.p = check_probability(p, "dropout")

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        return x * stream_mask(x, self.p, self.steps(x))

    def steps(self, x):
        return x.size(0)

    def extra_repr(self):
        return f"p={self.p}"


class LockedDropout(StepDropout):
    """y_t = m * x_t with one mask for all steps of a window, another for each stream.

    Variational dropout of Gal and Ghahramani (2015, arXiv:1512.05287), as in AWD-LSTM
    (arXiv:1708.02182).
    """

    def steps(self, x):
        return 1
