"""cuDNN's LSTM layer with its weights in one buffer.

cuDNN reads all weights of a layer from one buffer. torch.lstm finds them in it if they are parameters of a
torch.nn.LSTM. The weights of a layer with weight drop are new at each call, so torch.lstm asks cuDNN for the
place of each matrix, several times over, and copies them one by one, with a warning. For a single layer the
buffer is W, U, b_ih and b_hh one after another. This layout is compared with torch's own buffer once for each
size; where it differs, torch.lstm computes the layer.
"""

import functools
import math

import torch
from torch import Tensor

LSTM = 2  # cuDNN's number for this cell
ARRAYS = 4  # W, U, b_ih, b_hh


def cudnn_takes(x: Tensor, weights: tuple[Tensor, ...]) -> bool:
    """Return whether cuDNN computes a layer with these inputs, and the layout of its buffer is known."""
    if not x.is_cuda or torch.version.hip or len(weights) != ARRAYS:
        return False
    return torch.backends.cudnn.is_acceptable(x) and layout_is_known(
        x.size(-1), weights[1].size(1), x.dtype, x.device
    )


@functools.cache
def layout_is_known(inputs: int, units: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether torch's buffer of a layer holds its arrays one after another."""
    shapes = (4 * units, inputs), (4 * units, units), (4 * units,), (4 * units,)
    arrays = [
        (torch.arange(math.prod(shape), device=device) % 251 + number).to(dtype).view(shape)
        for number, shape in enumerate(shapes)
    ]
    expected = torch.cat([array.flatten() for array in arrays])
    try:
        with torch.no_grad():
            buffer = torch._cudnn_rnn_flatten_weight(arrays, ARRAYS, inputs, LSTM, units, 0, 1, False, False)
    except RuntimeError:
        return False
    return torch.equal(buffer, expected)  # the host waits here, once for each size


def cudnn_lstm(
    x: Tensor,  # [T, B, D], or packed [N, D]
    state: tuple[Tensor, Tensor],  # [1, B, H] each
    weights: tuple[Tensor, ...],  # [4H, D], [4H, H], [4H], [4H]
    batch_sizes: Tensor | None = None,  # [T], on the CPU
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (h [T, B, H] or [N, H], h_T, c_T [1, B, H])."""
    with torch.no_grad():
        buffer = torch.cat([weight.flatten() for weight in weights])
    units, training = weights[1].size(1), torch.is_grad_enabled()
    sizes = [] if batch_sizes is None else batch_sizes.tolist()
    h, c = state
    return torch._cudnn_rnn(
        x.contiguous(), list(weights), ARRAYS, buffer, h, c, LSTM, units, 0, 1, False, 0.0, training, False,
        sizes, None,
    )[:3]  # fmt: skip
