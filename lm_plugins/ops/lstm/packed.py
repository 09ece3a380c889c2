"""torch's own LSTM over windows in which sentences begin: each stretch between two resets is a row.

The stretches of all streams are sorted by length and packed, as torch.nn.utils.rnn does for sequences
of different lengths: no step is computed twice or for padding, and cuDNN serves.
"""

import torch


def lstm(x, state, weights, layout):
    """`layout` is that of :class:`~lm_plugins.ops.resets.Resets`."""
    sizes, place, order, stream, enters, last = layout
    h, c = (part[stream] * enters.unsqueeze(1) for part in state)
    with torch.autocast(x.device.type, enabled=False):  # see fused
        y, h, c = torch.lstm(
            x.to(h.dtype).flatten(0, 1).index_select(0, order),  # its backward is faster than [order]'s
            sizes,
            (h.unsqueeze(0), c.unsqueeze(0)),
            [weight.contiguous() for weight in weights],
            True,  # biases
            1,  # layer
            0.0,  # dropout
            torch.is_grad_enabled(),
            False,  # bidirectional
        )
    return y.index_select(0, place).unflatten(0, x.shape[:2]), (h[0][last], c[0][last])
