"""Activation regularisation of the outputs h of the last layer [T, B, C].

    AR  = mean (m * h_t)^2, where m is the dropout mask
    TAR = mean (h_t - h_{t-1})^2

Merity, McCann and Socher 2017, arXiv:1708.01009, as awd-lstm-lm computes them. Departures: the pads after the
end of a stream count for neither, and the first step of an independent sentence not for TAR. With N targets,
AR is then the sum over them divided by N, and TAR the sum over the steps that count divided by N (T - 1) / T,
of the means over the C units.
"""

import torch
from torch import Tensor


def activation_regularisation(
    dropped: Tensor,  # [T, B, C]
    counted: Tensor | None,  # [T, B]
) -> Tensor:
    """Return AR of the outputs after dropout.

    Args:
        counted: True where there is a target; None: everywhere
    """
    squares = dropped.float().pow(2)
    if counted is None:
        return squares.mean()
    return sum_over(squares, counted) / number_of(counted)


def temporal_activation_regularisation(
    output: Tensor,  # [T, B, C]
    counted: Tensor | None,  # [T, B]
    begins: Tensor | None = None,  # [T, B]
) -> Tensor:
    """Return TAR of the outputs before dropout.

    Args:
        counted: True where there is a target; None: everywhere
        begins: True at the first step of an independent sentence; None: the text is continuous
    """
    steps, squares = len(output), output.float().diff(dim=0).pow(2)
    if counted is None and begins is None:
        return squares.mean()
    if counted is None:
        counted = torch.ones_like(begins)
    within = counted if begins is None else counted & ~begins
    return sum_over(squares, within[1:]) / (number_of(counted) * ((steps - 1) / steps))


def sum_over(squares: Tensor, where: Tensor) -> Tensor:
    return squares.mean(-1).masked_fill(~where, 0).sum()


def number_of(counted: Tensor) -> Tensor:
    return counted.sum().clamp(min=1)  # all streams of this process may have ended
