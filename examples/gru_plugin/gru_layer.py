"""The GRU layer (Cho et al. 2014, arXiv:1406.1078), with DropConnect on its recurrent weights."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lm_plugins.modules.dropout_mask import check_probability
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.resets import Resets


class GRUState(NamedTuple):
    h: Tensor  # [B, H]


class GRULayer(RecurrentLayer):
    """Compute a GRU step by step, in the variant of torch.nn.GRU.

        r_t = sigmoid(W_r x_t + b_r + U_r h_{t-1} + c_r)
        z_t = sigmoid(W_z x_t + b_z + U_z h_{t-1} + c_z)
        n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + c_n))
        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    Args:
        input_size: D
        hidden_size: H
        weight_dropout: probability of dropping a weight of U, with one mask for a window
    """

    def __init__(self, input_size: int, hidden_size: int, *, weight_dropout: float = 0.0):
        super().__init__()
        self.weight_dropout = check_probability(weight_dropout, "weight_dropout")
        self.input = nn.Linear(input_size, 3 * hidden_size)
        self.recurrent = nn.Linear(hidden_size, 3 * hidden_size)

    def initial_state(self, batch_size: int) -> GRUState:
        weight = self.recurrent.weight
        return GRUState(weight.new_zeros(batch_size, weight.size(1)))

    def forward(
        self, x: Tensor, state: GRUState | None = None, reset: Resets | None = None
    ) -> tuple[Tensor, GRUState]:
        h = (state or self.initial_state(x.size(1))).h
        u, c = self.recurrent.weight, self.recurrent.bias
        if self.training:
            u = dropout(u, self.weight_dropout)
        inputs = self.input(x).to(h.dtype)  # one product for the whole window, which may be autocast
        outputs = []
        with torch.autocast(x.device.type, enabled=False):
            for t, (r, z, n) in enumerate(zip(*inputs.chunk(3, dim=-1), strict=True)):
                if reset is not None:
                    h = h.masked_fill(reset.mask[t].unsqueeze(-1), 0)
                u_r, u_z, u_n = F.linear(h, u, c).chunk(3, dim=-1)
                n = torch.tanh(n + torch.sigmoid(r + u_r) * u_n)
                h = torch.lerp(n, h, torch.sigmoid(z + u_z))
                outputs.append(h)
        return torch.stack(outputs), GRUState(h)
