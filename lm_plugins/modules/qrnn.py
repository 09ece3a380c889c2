"""The QRNN layer with fo-pooling (Bradbury et al. 2016, arXiv:1611.01576)."""

import torch
from torch import nn
from torch.nn import functional as F

from lm_plugins.modules.dropout_mask import check_probability, stream_mask
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.fo_pooling import fo_pooling


class QRNNLayer(nn.Module):
    """Gates from a convolution over the inputs, then an element-wise recurrence.

        z = tanh(W_z u_t + b_z)    f = sigmoid(W_f u_t + b_f)    o = sigmoid(W_o u_t + b_o)
        c_t = f_t * z_t + (1 - f_t) * c_{t-1}                    h_t = o_t * c_t

    with u_t = x_t, or [x_t; x_{t-1}] for window 2. f lets the new value in, as in torchqrnn (the
    paper's forget gate is 1 - f); weights have torchqrnn's layout. Zoneout keeps units of c: f is
    multiplied by Bernoulli(1 - p) in training and by 1 - p in evaluation, as in torchqrnn. Weight
    dropout is on all of `linear.weight`, as awd-lstm-lm has it.

    The input before the window is part of the state, so that windows can be cut anywhere.

    Shape:
        x [T, B, D], state (c [B, H],), for window 2 (c [B, H], x_0 [B, D]), or None for zeros
        -> (h [T, B, H], state); where reset.mask [T, B] is True, c_{t-1} and x_{t-1} are taken for zero
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        *,
        window=1,
        zoneout=0.0,
        weight_dropout=0.0,
        init_range=None,
    ):
        super().__init__()
        if window not in (1, 2):
            raise ValueError(f"a QRNN layer supports a window of 1 or 2 inputs, not {window}")
        self.hidden_size, self.window = hidden_size, window
        self.zoneout = check_probability(zoneout, "zoneout")
        self.weight_dropout = check_probability(weight_dropout, "weight_dropout")
        self.linear = nn.Linear(window * input_size, 3 * hidden_size)
        if init_range is not None:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -init_range, init_range)

    def initial_state(self, batch_size):
        weight = self.linear.weight
        c = weight.new_zeros(batch_size, self.hidden_size)
        if self.window == 1:
            return (c,)
        return c, weight.new_zeros(batch_size, weight.size(1) // 2)

    def forward(self, x, state=None, reset=None):
        reset = None if reset is None else reset.mask
        c, *before = state or self.initial_state(x.size(1))
        u = x
        if self.window == 2:
            previous = torch.cat([before[0][None], x[:-1]])
            if reset is not None:
                previous = previous.masked_fill(reset.unsqueeze(-1), 0)
            u = torch.cat([x, previous], dim=-1)
        weight = self.linear.weight
        if self.training:
            weight = dropout(weight, self.weight_dropout)
        gates = F.linear(u, weight, self.linear.bias)
        h, last = fo_pooling(gates, c, self.f_factor(c, len(x)), reset, overwrite=True)
        return h, (last,) if self.window == 1 else (last, x[-1])

    def f_factor(self, c, steps):
        """Zoneout: where f is zero the unit is kept."""
        if not self.zoneout or not self.training:
            return 1 - self.zoneout
        return stream_mask(c.expand(steps, -1, -1), self.zoneout, steps) != 0
