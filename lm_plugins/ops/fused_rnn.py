"""Run torch's recurrences, such as torch.lstm and torch.gru: cuDNN on a GPU; on a CPU oneDNN or ATen.

With resets, each stretch of a stream between two resets is a sequence. The sequences of all streams are
sorted by length and packed, as in torch.nn.utils.rnn. No step is computed twice or for padding, and cuDNN
supports this layout.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lm_plugins.ops.cudnn_lstm import cudnn_lstm, cudnn_takes
from lm_plugins.ops.resets import Layout, Resets


def fused_rnn(
    function: Callable[..., tuple[Tensor, ...]],
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, ...],  # [B, ...] each
    weights: tuple[Tensor, ...],
    reset: Resets | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one layer outside autocast, because oneDNN's bfloat16 LSTM rounds the cell and learns worse.

    Args:
        function: torch.lstm, torch.gru, torch.rnn_tanh or torch.rnn_relu
        x: inputs
        state: (h, c) for torch.lstm, otherwise (h,)
        weights: W, U, b_ih and b_hh in the layout of `function`, and P for an LSTM with a projection
        reset: the steps before which the state is reset; None: nowhere

    Returns:
        (h [T, B, H], state after the last step)
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.to(state[0].dtype)
        if reset is None:
            return whole(function, x, state, weights)
        return packed(function, x, state, weights, reset.layout)


def whole(
    function: Callable[..., tuple[Tensor, ...]],
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, ...],  # [B, ...] each
    weights: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    if function is torch.lstm and cudnn_takes(x, weights):
        y, *last = cudnn_lstm(x, hidden(state), tuple(weight.contiguous() for weight in weights))
        return y, tuple(tensor.squeeze(0) for tensor in last)
    y, *last = function(
        x,
        hidden(state),
        [weight.contiguous() for weight in weights],
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),  # else cuDNN does not save what its backward pass needs
        bidirectional=False,
        batch_first=False,
    )
    return y, tuple(tensor.squeeze(0) for tensor in last)


def packed(
    function: Callable[..., tuple[Tensor, ...]],
    x: Tensor,  # [T, B, D]
    state: tuple[Tensor, ...],  # [B, ...] each
    weights: tuple[Tensor, ...],
    layout: Layout,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    shape = x.shape[:2]
    x = x.flatten(0, 1).index_select(0, layout.order)  # its backward is faster than that of [order]
    first = hidden(tuple(tensor[layout.stream] * layout.continues.unsqueeze(1) for tensor in state))
    weights = tuple(weight.contiguous() for weight in weights)
    if function is torch.lstm and cudnn_takes(x, weights):
        y, *last = cudnn_lstm(x, first, weights, layout.batch_sizes)
    else:
        y, *last = function(
            x,
            layout.batch_sizes,
            first,
            weights,
            True,  # biases
            1,  # layer
            0.0,  # dropout
            torch.is_grad_enabled(),
            False,  # bidirectional
        )
    y = y.index_select(0, layout.place).unflatten(0, shape)
    return y, tuple(tensor[0][layout.last] for tensor in last)


def hidden(state: tuple[Tensor, ...]) -> Any:
    """Return `state` as torch's functions expect it: a tuple of [1, B, ...] for an LSTM, else one tensor."""
    tensors = tuple(tensor.unsqueeze(0).contiguous() for tensor in state)
    return tensors if len(tensors) > 1 else tensors[0]
