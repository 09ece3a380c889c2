"""torch's own LSTM over windows in which sentences begin: each stretch between two resets is a row.

The stretches of all streams are sorted by length and packed, as torch.nn.utils.rnn does for sequences
of different lengths: no step is computed twice or for padding, and cuDNN serves.
"""

import torch


def layout(reset):
    """How a window is packed.

    Args:
        reset: [T, B] bool, True where the state is forgotten before the step

    Returns:
        (place of each (t, b) in the packed data [T, B], batch sizes [longest] on the CPU, the streams
        that the rows start in [R], whether they take that stream's state [R], the row with which each
        stream ends [B])
    """
    time, streams = reset.shape
    first = reset.t().clone()  # stream by stream, so that a row is contiguous
    first[:, 0] = True
    first = first.flatten()
    row = first.cumsum(0) - 1
    start = first.nonzero().squeeze(1)
    lengths = row.bincount()
    order = lengths.argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    sizes = lengths.bincount(minlength=time + 1).flip(0).cumsum(0).flip(0)[1:]  # rows longer than t
    step = torch.arange(time * streams, device=row.device) - start[row]
    place = (sizes.cumsum(0) - sizes)[step] + rank[row]
    stream, enters = start // time, ~reset.t().flatten()[start]
    last = rank[row.view(streams, time)[:, -1]]
    return place.view(streams, time).t(), sizes[sizes > 0].cpu(), stream[order], enters[order], last


def lstm(x, state, weights, reset):
    place, sizes, stream, enters, last = layout(reset)
    order = torch.empty_like(place.flatten())
    order[place.flatten()] = torch.arange(order.numel(), device=order.device)
    h, c = (part[stream] * enters.unsqueeze(1) for part in state)
    with torch.autocast(x.device.type, enabled=False):  # see fused
        y, h, c = torch.lstm(
            x.to(h.dtype).flatten(0, 1)[order],
            sizes,
            (h.unsqueeze(0), c.unsqueeze(0)),
            [weight.contiguous() for weight in weights],
            True,  # biases
            1,  # layer
            0.0,  # dropout
            torch.is_grad_enabled(),
            False,  # bidirectional
        )
    return y[place], (h[0][last], c[0][last])
