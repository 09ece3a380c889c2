"""linear_cross_entropy: -ln p(target) from features, without the logits of all rows in memory.

    p_n(v) = sum_k pi_nk softmax(W h_nk + b)_v            nll_n = -ln p_n(target_n)

One component without a prior is the plain softmax. Several components are a mixture of softmaxes (Yang et al.
2018, arXiv:1711.03953), computed in log space throughout.
"""

from collections.abc import Callable

from torch import Tensor

from lm_plugins.ops.cpu_kernels import why_unsupported
from lm_plugins.ops.dispatch import choose
from lm_plugins.ops.linear_cross_entropy.chunked import linear_cross_entropy as chunked
from lm_plugins.ops.linear_cross_entropy.cpu import CPUSoftmax
from lm_plugins.ops.linear_cross_entropy.naive import linear_cross_entropy as naive
from lm_plugins.ops.linear_cross_entropy.torch import TorchSoftmax


def linear_cross_entropy(
    features: Tensor,  # [N, C] or [N, K, C]
    weight: Tensor,  # [V, C]
    bias: Tensor | None,  # [V]
    target: Tensor,  # [N]
    *,
    log_prior: Tensor | None = None,  # [N, K]
    ignore_index: int | None = None,
    impl: str | None = None,
    chunk: int | None = None,
    grad_in_forward: bool = True,
    d_weight: Callable[[], Tensor | None] | None = None,
) -> Tensor:
    """Return the negative log-likelihood of each target, in nats.

    Args:
        features: h, with a dimension of K components if there is a prior
        weight: W
        bias: b
        target: ids
        log_prior: ln pi; None: one component
        ignore_index: rows with this target have a loss of zero and no gradient
        impl: "cpu": compiled kernels in chunks, for a weight in float32 or float64; "torch": torch alone, in
            chunks; "naive": the definition; None: the first of these that supports the weight
        chunk: logits held at a time; None: 4 M, or those of 128 rows if that is more
        grad_in_forward: compute the gradients in the forward pass, which saves time if the losses are summed
            or averaged; pass False if the losses get different upstream gradients
        d_weight: returns the memory for the gradient of W, [V, C], or None if it has none; see
            :mod:`lm_plugins.ops.row_blocks`

    Returns:
        [N], in float32, or in float64 if the features are

    Raises:
        ValueError: there is no such `impl`, or the bias or the targets have another length.
        IndexError: a target is not a word; on a GPU the device asserts.
        RuntimeError: `impl` does not support the weight and the bias.
    """
    impl = choose("linear_cross_entropy", impl, checks(weight, bias))
    if impl == "naive":
        return naive(features, weight, bias, target, log_prior, ignore_index)
    softmax = CPUSoftmax if impl == "cpu" else TorchSoftmax
    options = (grad_in_forward, softmax, chunk, d_weight)
    return chunked(features, weight, bias, target, log_prior, ignore_index, *options)


def checks(weight: Tensor, bias: Tensor | None) -> dict:
    """Return the implementations and what they support, for :func:`~lm_plugins.ops.dispatch.choose`."""
    tensors = [weight] if bias is None else [weight, bias]
    return {"cpu": lambda: why_unsupported(*tensors), "torch": None, "naive": None}
