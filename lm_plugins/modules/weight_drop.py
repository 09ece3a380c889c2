"""DropConnect on the matrices of a recurrent layer, as in AWD-LSTM (Merity et al. 2017, arXiv:1708.02182)."""

import math

import torch
from torch import Tensor, nn

from lm_plugins.modules.dropout_mask import check_probability
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.ops.dropout import dropout


class WeightDropLayer(RecurrentLayer):
    """A recurrent layer with DropConnect: W * m and U * m', with one mask for all steps and streams.

    The dropped matrices are passed to the recurrence as values. The parameters, named as in torch.nn.LSTM,
    are always the raw ones.

    Args:
        shapes: {name of a parameter: its shape}, W and U of the recurrence being `weight_ih_l0` and
            `weight_hh_l0`
        units: H, or the number of cells
        weight_dropout: on U, hidden to hidden
        input_weight_dropout: on W, input to hidden
        init_range: half-width of the uniform distribution of the initial parameters; None: 1 / sqrt(units),
            as in torch.nn.LSTM

    Raises:
        ValueError: a probability is not in [0, 1).
    """

    def __init__(
        self,
        shapes: dict[str, tuple[int, ...]],
        units: int,
        *,
        weight_dropout: float = 0.0,
        input_weight_dropout: float = 0.0,
        init_range: float | None = None,
    ):
        super().__init__()
        self.weight_dropout = check_probability(weight_dropout, "weight_dropout")
        self.input_weight_dropout = check_probability(input_weight_dropout, "input_weight_dropout")
        self.bound = 1 / math.sqrt(units) if init_range is None else init_range
        for name, shape in shapes.items():
            parameter = nn.Parameter(torch.empty(shape))
            nn.init.uniform_(parameter, -self.bound, self.bound)
            self.register_parameter(name, parameter)

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Return W and U."""
        return self.weight_ih_l0, self.weight_hh_l0

    def dropped_matrices(self) -> tuple[Tensor, Tensor]:
        """Return W and U, in training with some of their entries dropped."""
        w, u = self.matrices()
        if not self.training:
            return w, u
        return dropout(w, self.input_weight_dropout), dropout(u, self.weight_dropout)
