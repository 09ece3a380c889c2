"""torch.lstm over a window with resets: each stretch of a stream between two resets is a sequence.

The sequences of all streams are sorted by length and packed, as in torch.nn.utils.rnn. No step is computed
twice or for padding, and cuDNN supports it.
"""

import torch
from torch import Tensor

from lm_plugins.ops.resets import Layout


def lstm(
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, Tensor],  # [B, H] each
    weights: tuple[Tensor, Tensor, Tensor, Tensor],  # [4H, D], [4H, H], [4H], [4H]
    layout: Layout,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # [T, B, H], [B, H] each
    h, c = (tensor[layout.stream] * layout.continues.unsqueeze(1) for tensor in state)
    with torch.autocast(x.device.type, enabled=False):  # see torch.py
        y, h, c = torch.lstm(
            x.to(h.dtype)
            .flatten(0, 1)
            .index_select(0, layout.order),  # its backward is faster than [order]'s
            layout.batch_sizes,
            (h.unsqueeze(0), c.unsqueeze(0)),
            [weight.contiguous() for weight in weights],
            True,  # biases
            1,  # layer
            0.0,  # dropout
            torch.is_grad_enabled(),
            False,  # bidirectional
        )
    y = y.index_select(0, layout.place).unflatten(0, x.shape[:2])
    return y, (h[0][layout.last], c[0][layout.last])
