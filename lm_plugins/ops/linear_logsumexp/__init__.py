"""linear_logsumexp: ln sum_v exp(W h_n + b)_v, without the logits of all rows in memory.

Processes that each have a shard of the vocabulary compute the denominator of their softmax from it.
"""

from torch import Tensor

from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.linear_cross_entropy import checks
from lm_plugins.ops.linear_cross_entropy.cpu import CPUSoftmax
from lm_plugins.ops.linear_cross_entropy.torch import TorchSoftmax
from lm_plugins.ops.linear_logsumexp.chunked import linear_logsumexp as chunked
from lm_plugins.ops.linear_logsumexp.naive import linear_logsumexp as naive


def linear_logsumexp(
    features: Tensor,  # [N, C]
    weight: Tensor,  # [V, C]
    bias: Tensor | None,  # [V]
    *,
    impl: str | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Return the logarithm of the sum of the exponentials of the logits, in nats.

    Args:
        features: h
        weight: W
        bias: b
        impl: as in :func:`~lm_plugins.ops.linear_cross_entropy.linear_cross_entropy`
        chunk: logits held at a time; None: as there

    Returns:
        [N], in float32, or in float64 if the features are

    Raises:
        ValueError: there is no such `impl`.
        RuntimeError: `impl` does not support the weight and the bias.
    """
    impl = choose("linear_logsumexp", impl, checks(weight, bias))
    if impl == "naive":
        return naive(features, weight, bias)
    return chunked(features, weight, bias, CPUSoftmax if impl == "cpu" else TorchSoftmax, chunk)
