"""How a chunked op divides its rows, and what computes the logits of a chunk."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lm_plugins.ops.linear_cross_entropy.softmax import ChunkSoftmax

# Logits held at a time, or of so many rows: each chunk reads all of W. A GPU needs larger products.
CHUNK, ROWS = {"cpu": 1 << 22, "cuda": 1 << 27}, 128


@dataclass(frozen=True)
class Options:
    """The options of a chunked op.

    Args:
        softmax: the implementation of the work on one chunk
        chunk: logits held at a time; None: CHUNK, or those of ROWS rows if that is more
        dtype: of the matrix products for the gradients
        d_weight: returns the memory for the gradient of W, or None if it has none; see ops/row_blocks.py
    """

    softmax: type[ChunkSoftmax]
    chunk: int | None
    dtype: torch.dtype
    d_weight: Callable[[], Tensor | None] | None = None

    def rows_per_chunk(self, weight: Tensor, k: int = 1) -> int:
        """Return the number of rows of K components each in a chunk."""
        logits = self.chunk or max(CHUNK.get(weight.device.type, CHUNK["cpu"]), ROWS * len(weight))
        return max(1, logits // (k * len(weight)))

    def chunks(
        self, weight: Tensor, bias: Tensor | None, count: int, k: int = 1
    ) -> tuple[ChunkSoftmax, list[slice]]:
        """Return the softmax of all chunks, and the rows of each, of `count` rows of K components."""
        size = self.rows_per_chunk(weight, k)
        softmax = self.softmax(weight, bias, self.dtype, min(count, size) * k)
        return softmax, [slice(start, min(start + size, count)) for start in range(0, count, size)]


def product_dtype(weight: Tensor) -> torch.dtype:
    """Return the dtype of the matrix products: autocast's if it is on, else the weight's."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
