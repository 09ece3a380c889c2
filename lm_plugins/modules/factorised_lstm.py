"""The LSTM layer with factorised matrices, F-LSTM (Kuchaiev and Ginsburg 2017, arXiv:1703.10722)."""

import torch
from torch import Tensor

from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM


class FactorisedLSTM(WeightDropLSTM):
    """An LSTM layer whose matrix [W U] has rank r: [W U] = A [B C], equation 7.1 of Zhang (2018).

    It has r (4N + D + H) parameters in place of 4N (D + H). The factors are initialised so that the entries
    of W and U have the same variance as without factors.

    The products A B and A C are computed once for a window, and the recurrence is that of a full matrix: the
    factors save parameters, gradients and the state of the optimizer, but no time. DropConnect applies to the
    products.

    Args:
        input_size: D
        hidden_size: H
        rank: r
        options: the other arguments of :class:`WeightDropLSTM`

    Raises:
        ValueError: the rank does not make the layer smaller, or an argument of the LSTM is out of range.
    """

    def __init__(self, input_size: int, hidden_size: int, *, rank: int, **options):
        self.rank = rank
        super().__init__(input_size, hidden_size, **options)
        full, inputs = 4 * self.cells, input_size + hidden_size
        if not 0 < rank < full * inputs / (full + inputs):
            raise ValueError(
                f"the LSTM's matrices cannot be factorised with rank {rank}: the rank must be at least 1 and "
                f"below {full * inputs / (full + inputs):.1f} to make a layer of {input_size} inputs, "
                f"{self.cells} cells and {hidden_size} outputs smaller"
            )
        # A product of two factors with the variance v of their entries has the variance r v^2.
        scale = (3 / (rank * self.bound**2)) ** 0.25
        with torch.no_grad():
            for factor in (self.factor_out, self.factor_ih, self.factor_hh):
                factor.mul_(scale)

    def matrix_shapes(self, input_size: int, hidden_size: int, cells: int) -> dict[str, tuple[int, ...]]:
        return {
            "factor_out": (4 * cells, self.rank),  # A
            "factor_ih": (self.rank, input_size),  # B
            "factor_hh": (self.rank, hidden_size),  # C
        }

    def matrices(self) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.factor_out.device.type, enabled=False):  # weights keep their dtype
            return self.factor_out @ self.factor_ih, self.factor_out @ self.factor_hh
