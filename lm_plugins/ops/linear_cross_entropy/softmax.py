"""The softmax of one chunk of rows and its gradient: the interface that torch.py and cpu.py implement."""

import torch
from torch import Tensor


class ChunkSoftmax:
    """softmax(W h + b) for n rows at a time.

    :meth:`backward` belongs to the chunk of the last call of :meth:`forward`, whose logits it overwrites.

    Under autocast the products for the gradients are in half precision. So are those for the logits on a GPU,
    which accumulates in float32 and rounds each logit once. On a CPU the logits stay in float32: oneDNN would
    round each one to bfloat16, with an error of 0.03 at 10, which changed the perplexity after 200 updates by
    1.5 %.

    Args:
        weight: W [V, C]
        bias: b [V] or None
        dtype: of the products for the gradients
        max_rows: the largest number of rows in a chunk
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, max_rows: int):
        self.weight, self.bias = weight.to(dtype), bias
        self.logits_weight = weight if weight.is_cpu else self.weight

    def forward(self, features: Tensor, target: Tensor | None) -> Tensor:
        """Return ln p(target) [n], or, without a target, ln sum_v exp(logit_v) [n].

        Args:
            features: h [n, C]
            target: [n] ids or None
        """
        raise NotImplementedError

    def logits_gradient(
        self, target: Tensor | None, scale: Tensor | None, d_bias: Tensor | None, first: bool
    ) -> Tensor:
        """Return scale (softmax - onehot(target)) [n, V], without the second term if `target` is None.

        Args:
            target: [n] ids or None
            scale: [n]; None: ones
            d_bias: [V], to which the sum over the rows is added, or None
            first: set `d_bias` instead, whose memory is not initialised
        """
        raise NotImplementedError

    def backward(
        self,
        features: Tensor,  # [n, C]
        target: Tensor | None,  # [n]
        scale: Tensor | None,  # [n]
        d_features: Tensor | None,  # [..., C], of n rows
        d_weight: Tensor | None,  # [V, C]
        d_bias: Tensor | None,  # [V]
        first: bool,
    ) -> None:
        """Write the gradient of the features, and add those of W and b, where they are not None.

        With `first` the gradients of W and b are also written instead of added.
        """
        d_logits = self.logits_gradient(target, scale, d_bias, first).to(self.weight.dtype)
        features = features.to(self.weight.dtype)
        if d_features is not None:
            add_product(d_features.view(features.shape), d_logits, self.weight, first=True)
        if d_weight is not None:
            add_product(d_weight, d_logits.T, features, first)


def add_product(out: Tensor, a: Tensor, b: Tensor, first: bool) -> None:
    """Add a b to `out`; with `first` write it to `out`."""
    if out.dtype != a.dtype:
        out.copy_(a @ b) if first else out.add_(a @ b)
    elif first:
        torch.mm(a, b, out=out)
    else:
        out.addmm_(a, b)
