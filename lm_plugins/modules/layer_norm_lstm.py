"""The layer-normalised LSTM layer of OpenSeq2Seq (its WeightDropLayerNormBasicLSTMCell)."""

import torch
from torch import Tensor, nn

from lm_plugins.modules.dropout_mask import check_probability
from lm_plugins.modules.weight_drop import WeightDropLayer
from lm_plugins.modules.weight_drop_lstm import State, candidate_mask
from lm_plugins.ops.layer_norm_lstm import Weights, layer_norm_lstm
from lm_plugins.ops.resets import Resets


class LayerNormLSTM(WeightDropLayer):
    """An LSTM layer with layer normalisation of its gates and its cell, and with DropConnect.

    See :mod:`lm_plugins.ops.layer_norm_lstm` for the equations. There is no bias other than the shifts.

    Departures from OpenSeq2Seq:

    - Its forget bias is a constant. Here it is added to the initial shift of the forget gate, and is trained.
    - Its shifts start at 0. Here those of the gates start like the biases of an LSTM. Otherwise an input of
      zeros, such as a dropped word, makes the cells of the first step constant, and the gradient of their
      normalisation explodes (measured: a norm of 4e17 in the first update of 3 layers).
    - Its epsilon is TensorFlow's, 1e-12 in single and 1e-3 in half precision.

    Args:
        input_size: D
        hidden_size: H
        weight_dropout: on U, hidden to hidden (1 - recurrent_weight_keep_prob)
        input_weight_dropout: on W, input to hidden (1 - input_weight_keep_prob)
        candidate_dropout: on the candidate g, with a new mask at each step (1 - recurrent_keep_prob)
        forget_bias: added to the initial shift of the forget gate
        init_range: half-width of the uniform distribution of the initial matrices and gate shifts; None: 1 /
            sqrt(H). The cell's shift starts at 0, and the scales at 1.
        eps: added to the variances

    Raises:
        ValueError: a probability is not in [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        weight_dropout: float = 0.0,
        input_weight_dropout: float = 0.0,
        candidate_dropout: float = 0.0,
        forget_bias: float = 0.0,
        init_range: float | None = None,
        eps: float = 1e-5,
    ):
        shapes = {
            "weight_ih_l0": (4 * hidden_size, input_size),
            "weight_hh_l0": (4 * hidden_size, hidden_size),
            "gate_shift": (4, hidden_size),
        }
        super().__init__(
            shapes,
            hidden_size,
            weight_dropout=weight_dropout,
            input_weight_dropout=input_weight_dropout,
            init_range=init_range,
        )
        self.hidden_size, self.eps = hidden_size, eps
        self.candidate_dropout = check_probability(candidate_dropout, "candidate_dropout")
        self.gate_scale = nn.Parameter(torch.ones(4, hidden_size))
        self.cell_scale = nn.Parameter(torch.ones(hidden_size))
        self.cell_shift = nn.Parameter(torch.zeros(hidden_size))
        with torch.no_grad():
            self.gate_shift[1] += forget_bias

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (h [B, H], c [B, H])."""
        zeros = self.cell_scale.new_zeros(batch_size, self.hidden_size)
        return zeros, zeros

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Return (h [T, B, H], new state)."""
        norms = (self.gate_scale, self.gate_shift, self.cell_scale, self.cell_shift)
        weights = Weights(*self.dropped_matrices(), *norms)
        mask = candidate_mask(x, self.hidden_size, self.candidate_dropout) if self.training else None
        state = self.initial_state(x.size(1)) if state is None else state
        return layer_norm_lstm(x, state, weights, mask, reset, eps=self.eps)
