"""The floor of a layer or a step: its matrix products alone, over all rows of the window at once.

A recurrence multiplies by its matrix step by step, so an LSTM cannot reach its floor. The ratio of a time to
its floor can be compared between machines on which the products themselves run at different speeds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from benchmarks.measure import Work
from lm_plugins.matmul_precision import set_matmul_precision

FLOOR, FLOOR_BF16 = "matrix products alone", "matrix products alone, bf16"


class Matrix(NamedTuple):
    """A matrix with `n_in` columns and `n_out` rows, and the dtype of its forward product."""

    n_in: int
    n_out: int
    dtype: torch.dtype | None = None  # None: that of the other products


def floor(
    rows: int, matrices: Sequence[Matrix], training: bool = True, dtype: torch.dtype = torch.float32
) -> Work:
    """Prepare the products of `rows` inputs with each matrix, and, for training, those of both gradients.

    The products are those that fairseq-train selects by default, in `dtype`.
    """
    set_matmul_precision("auto", on_cpu=torch.get_default_device().type == "cpu")
    operands = [
        (torch.randn(rows, m.n_in).to(dtype), torch.randn(m.n_out, m.n_in).to(dtype), m.dtype or dtype)
        for m in matrices
    ]
    operands = [(x, w, x.to(forward), w.to(forward)) for x, w, forward in operands]

    def work() -> None:
        upstream = [(forward_x @ forward_w.t()).to(x.dtype) for x, _, forward_x, forward_w in operands]
        if training:
            for gradient, (x, w, *_) in zip(upstream, operands, strict=True):
                gradient @ w
                gradient.t() @ x

    return work
