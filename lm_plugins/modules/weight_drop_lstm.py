"""The weight-dropped LSTM layer of AWD-LSTM (Merity et al. 2017, arXiv:1708.02182)."""

import math

import torch
from torch import Tensor, nn

from lm_plugins.modules.dropout_mask import check_probability, stream_mask
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.lstm import lstm
from lm_plugins.ops.resets import Resets

State = tuple[Tensor, Tensor]  # (h [B, H], c [B, H])


class WeightDropLSTM(RecurrentLayer):
    """An LSTM layer with DropConnect: U * m, with one mask for all steps and streams of a window.

    The dropped weight is passed to the LSTM as a value. The parameters, named as in torch.nn.LSTM, are always
    the raw ones.

    Args:
        input_size: D
        hidden_size: H
        weight_dropout: on U, hidden to hidden (AWD-LSTM; OpenSeq2Seq: 1 - recurrent_weight_keep_prob)
        input_weight_dropout: on W, input to hidden (OpenSeq2Seq: 1 - input_weight_keep_prob)
        candidate_dropout: on the candidate g, with a new mask at each step (OpenSeq2Seq: 1 -
            recurrent_keep_prob). Training then takes a step-by-step loop in place of torch's fused LSTM.
        forget_bias: added to the initial bias of the forget gate
        init_range: half-width of the uniform distribution of the initial parameters; None: 1 / sqrt(H), as in
            torch.nn.LSTM

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
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_dropout = check_probability(weight_dropout, "weight_dropout")
        self.input_weight_dropout = check_probability(input_weight_dropout, "input_weight_dropout")
        self.candidate_dropout = check_probability(candidate_dropout, "candidate_dropout")
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * hidden_size))
        for parameter in self.parameters():
            bound = 1 / math.sqrt(hidden_size) if init_range is None else init_range
            nn.init.uniform_(parameter, -bound, bound)
        with torch.no_grad():
            self.bias_ih_l0[hidden_size : 2 * hidden_size] += forget_bias

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (h [B, H], c [B, H])."""
        zeros = self.weight_hh_l0.new_zeros(batch_size, self.hidden_size)
        return zeros, zeros

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Return (h [T, B, H], new state)."""
        w, u = self.weight_ih_l0, self.weight_hh_l0
        if self.training:
            w, u = dropout(w, self.input_weight_dropout), dropout(u, self.weight_dropout)
        weights = (w, u, self.bias_ih_l0, self.bias_hh_l0)
        mask = None
        if self.training and self.candidate_dropout:
            cells = x.new_empty(()).expand(*x.shape[:2], self.hidden_size)
            mask = stream_mask(cells, self.candidate_dropout, x.size(0))
        state = self.initial_state(x.size(1)) if state is None else state
        return lstm(x, state, weights, mask, reset)
