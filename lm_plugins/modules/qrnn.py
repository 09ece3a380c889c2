"""The QRNN layer with fo-pooling (Bradbury et al. 2016, arXiv:1611.01576)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lm_plugins.modules.dropout_mask import check_probability, stream_mask
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.ops.dropout import dropout
from lm_plugins.ops.fo_pooling import fo_pooling
from lm_plugins.ops.resets import Resets

State = tuple[Tensor] | tuple[Tensor, Tensor]  # (c [B, H],), for width 2 (c [B, H], x_0 [B, D])


class QRNNLayer(RecurrentLayer):
    """Compute gates by a convolution over the inputs, then an element-wise recurrence.

        z = tanh(W_z u_t + b_z)    f = sigmoid(W_f u_t + b_f)    o = sigmoid(W_o u_t + b_o)
        c_t = f_t * z_t + (1 - f_t) * c_{t-1}                    h_t = o_t * c_t

    with u_t = x_t, or [x_t; x_{t-1}] for a convolution of width 2. The input before the window is then part
    of the state, so that windows can be cut anywhere.

    As in torchqrnn, f admits the new value (the forget gate of the paper is 1 - f), and the weights have the
    same layout. Zoneout keeps units of c: f is multiplied by a Bernoulli(1 - p) mask in training and by 1 - p
    in evaluation. As in awd-lstm-lm, weight dropout is applied to all of `linear.weight`.

    Args:
        input_size: D
        hidden_size: H
        window: width of the convolution, 1 or 2
        zoneout: p
        weight_dropout: probability of dropping a weight
        init_range: half-width of the uniform distribution of the initial parameters; None: as nn.Linear

    Raises:
        ValueError: the width is not 1 or 2, or a probability is not in [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        window: int = 1,
        zoneout: float = 0.0,
        weight_dropout: float = 0.0,
        init_range: float | None = None,
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

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (c [B, H],), for width 2 also x_0 [B, D]."""
        weight = self.linear.weight
        c = weight.new_zeros(batch_size, self.hidden_size)
        if self.window == 1:
            return (c,)
        return c, weight.new_zeros(batch_size, weight.size(1) // 2)

    def forward(
        self,
        x: Tensor,  # [T, B, D]
        state: State | None = None,
        reset: Resets | None = None,
    ) -> tuple[Tensor, State]:
        """Return (h [T, B, H], new state). A reset also forgets the input before the step."""
        mask = None if reset is None else reset.mask
        c, *x_0 = self.initial_state(x.size(1)) if state is None else state
        u = x
        if self.window == 2:
            previous = torch.cat([x_0[0][None], x[:-1]])
            if mask is not None:
                previous = previous.masked_fill(mask.unsqueeze(-1), 0)
            u = torch.cat([x, previous], dim=-1)
        weight = self.linear.weight
        if self.training:
            device = x.device.type
            autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
            weight = dropout(weight, self.weight_dropout, dtype=autocast if self.weight_dropout else None)
        gates = F.linear(u, weight, self.linear.bias)
        h, c = fo_pooling(gates, c, self.f_factor(c, x.size(0)), mask, overwrite=True)
        return h, (c,) if self.window == 1 else (c, x[-1].to(c.dtype, copy=True))

    def f_factor(self, c: Tensor, steps: int) -> Tensor | float:
        """Return the factor of f for zoneout: where it is zero, the unit is kept."""
        if not self.zoneout or not self.training:
            return 1 - self.zoneout
        return stream_mask(c.expand(steps, -1, -1), self.zoneout, steps) != 0
