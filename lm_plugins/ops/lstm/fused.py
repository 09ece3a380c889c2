"""torch's own LSTM, called with explicit weights: cuDNN on GPUs, oneDNN on CPUs."""

import torch


def lstm(x, state, weights):
    carried = state[0].dtype  # stays what it is, also where autocast computes in half precision
    h, c = (part.unsqueeze(0).contiguous() for part in state)
    y, h, c = torch.lstm(
        x,
        (h, c),
        [weight.contiguous() for weight in weights],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),  # cuDNN keeps what its backward needs only if so
        bidirectional=False,
        batch_first=False,
    )
    return y, (h.squeeze(0).to(carried), c.squeeze(0).to(carried))
