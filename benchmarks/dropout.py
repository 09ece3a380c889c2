"""Dropout of a weight matrix, as in each step of AWD-LSTM and QRNN, compared with torch's."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import Group, Work
from benchmarks.passes import forward_backward
from lm_plugins.ops.dropout import dropout


def weight_drop(function: Callable[[Tensor, float], Tensor], size: tuple[int, int]) -> Work:
    """Prepare the dropout of half of a weight matrix, forward and backward."""
    weight = torch.randn(size, requires_grad=True)
    return forward_backward(lambda weight: function(weight, 0.5), [], weight)


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for each size of the matrix."""
    for size in [(3, 5)] if quick else [(4600, 1150), (4650, 1550)]:
        rivals = {"torch.nn.functional.dropout": F.dropout, "ours": dropout}
        yield Group(
            f"weight drop of {size}, forward and backward",
            {name: partial(weight_drop, function, size) for name, function in rivals.items()},
        )
