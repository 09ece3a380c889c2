"""The weight-dropped LSTM, compared with torch's LSTM without weight drop and with awd-lstm-lm's method."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.floor import FLOOR, Matrix, floor
from benchmarks.measure import Group, Work
from benchmarks.passes import forward, forward_backward
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM

WEIGHT_DROPOUT = 0.5


class PeerWeightDrop(nn.Module):
    """Replace the weight of an LSTM with its masked form before each call, like awd-lstm-lm."""

    def __init__(self, layer: nn.Module, name: str, dropout: float) -> None:
        super().__init__()
        self.layer, self.name, self.dropout = layer, name, dropout
        self.raw = nn.Parameter(getattr(layer, name).data)
        delattr(layer, name)
        if isinstance(layer, nn.RNNBase):
            layer.flatten_parameters = lambda: None

    def forward(self, *inputs: Tensor) -> object:
        """Run the layer with a newly dropped weight."""
        setattr(self.layer, self.name, F.dropout(self.raw, self.dropout, self.training))
        return self.layer(*inputs)


def plain(n_in: int, n_out: int) -> nn.LSTM:
    """Return torch's LSTM."""
    return nn.LSTM(n_in, n_out)


def peer(n_in: int, n_out: int) -> PeerWeightDrop:
    """Return torch's LSTM with awd-lstm-lm's weight drop."""
    return PeerWeightDrop(nn.LSTM(n_in, n_out), "weight_hh_l0", WEIGHT_DROPOUT)


def ours(n_in: int, n_out: int) -> WeightDropLSTM:
    """Return the LSTM of this package."""
    return WeightDropLSTM(n_in, n_out, weight_dropout=WEIGHT_DROPOUT)


def layer(make: Callable[[int, int], nn.Module], sizes: tuple[int, int, int, int], training: bool) -> Work:
    """Prepare a pass over a window; `sizes` are T, B, and the units of input and output."""
    steps, streams, n_in, n_out = sizes
    lstm = make(n_in, n_out)
    x = torch.randn(steps, streams, n_in, requires_grad=training)

    def output(x: Tensor) -> Tensor:
        return lstm(x)[0]

    return forward_backward(output, lstm.parameters(), x) if training else forward(output, x)


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for inference and one for training."""
    steps, streams, n_in, n_out = sizes = (3, 2, 4, 5) if quick else (70, 20, 400, 1150)
    matrices = [Matrix(n_in, 4 * n_out), Matrix(n_out, 4 * n_out)]
    rivals = {"torch.nn.LSTM, no weight drop": plain, "awd-lstm-lm's way": peer, "ours": ours}
    for training in (False, True):
        yield Group(
            f"LSTM layer, T, B, D, H {sizes}, {'forward and backward' if training else 'forward'}",
            {
                **{name: partial(layer, make, sizes, training) for name, make in rivals.items()},
                FLOOR: partial(floor, steps * streams, matrices, training),
            },
            floors=dict.fromkeys(rivals, FLOOR),
        )
