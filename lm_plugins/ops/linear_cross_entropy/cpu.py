"""The softmax of a chunk with the kernels of cpu.cpp, in one buffer for all chunks."""

import torch
from torch import Tensor

from lm_plugins.ops.cpu_kernels import INT, INT64, REAL, Kernel
from lm_plugins.ops.linear_cross_entropy.softmax import ChunkSoftmax

EXPONENTIALS = Kernel("softmax_exponentials", REAL, REAL, INT64, INT, INT, REAL, REAL, REAL)
GRADIENT = Kernel("softmax_gradient", REAL, INT64, REAL, REAL, INT, INT, REAL)


class CPUSoftmax(ChunkSoftmax):
    """Compute the softmax of a chunk with the kernels of cpu.cpp.

    The kernels read memory at the address of each target and bias, so these are checked first.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, max_rows: int):
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(
                f"{len(weight)} words need a bias of this length, not of shape {tuple(bias.shape)}"
            )
        super().__init__(weight, None if bias is None else bias.contiguous(), dtype, max_rows)
        self.buffer = weight.new_empty(max_rows, len(weight))

    def forward(self, features: Tensor, target: Tensor | None) -> Tensor:
        if target is not None:
            check_words(target, len(self.weight))
        weight, buffer = self.logits_weight, self.buffer[: len(features)]
        self.exponentials = torch.mm(features.to(weight.dtype), weight.t(), out=buffer)  # still logits
        self.total, largest, target_logit = weight.new_empty(3, len(features))
        outputs = (self.total, largest, target_logit)
        target = None if target is None else target.contiguous()
        EXPONENTIALS(weight.dtype, self.exponentials, self.bias, target, *self.exponentials.shape, *outputs)
        log_z = largest + self.total.log()
        return log_z if target is None else target_logit - log_z

    def logits_gradient(
        self, target: Tensor | None, scale: Tensor | None, d_bias: Tensor | None, first: bool
    ) -> Tensor:
        scale = torch.ones_like(self.total) if scale is None else scale.to(self.total.dtype).contiguous()
        if first and d_bias is not None:
            d_bias.zero_()
        target = None if target is None else target.contiguous()
        arguments = (target, scale / self.total, scale, *self.exponentials.shape, d_bias)
        GRADIENT(scale.dtype, self.exponentials, *arguments)
        return self.exponentials


def check_words(target: Tensor, words: int) -> None:
    """Raise an IndexError unless each `target` is an id below `words`."""
    lowest, highest = target.aminmax()
    if lowest < 0 or highest >= words:
        wrong = int(lowest if lowest < 0 else highest)
        raise IndexError(f"the target {wrong} is out of bounds for {words} words")
