"""linear_cross_entropy: from features to -ln p(target), without holding the logits of all rows.

    p_n(v) = sum_k pi_nk softmax(W h_nk + b)_v            nll_n = -ln p_n(target_n)

One component without a prior is the plain softmax; several are a mixture of softmaxes (Yang et al.
2018, arXiv:1711.03953), computed in log space throughout.
"""

import torch

from lm_plugins.ops import cpu_kernels
from lm_plugins.ops.linear_cross_entropy import cpu, rows
from lm_plugins.ops.linear_cross_entropy.chunked import linear_cross_entropy as chunked
from lm_plugins.ops.linear_cross_entropy.naive import linear_cross_entropy as naive

IMPLEMENTATIONS = ("naive", "chunked", "cpu")


def linear_cross_entropy(
    features,
    weight,
    bias,
    target,
    *,
    log_prior=None,
    ignore_index=None,
    impl=None,
    chunk=None,
    summed=True,
):
    """Negative log-likelihood of each target, in nats.

    Args:
        features: h, [N, C], or [N, K, C] with `log_prior`
        weight, bias: W [V, C]; b [V] or None
        target: [N] ids; None: for :func:`linear_logsumexp`
        log_prior: ln pi, [N, K], or None for one component
        ignore_index: rows with this target have a loss and gradients of zero
        impl: one of IMPLEMENTATIONS; None: cpu where its kernels serve, else chunked, in torch alone
        chunk: logits that the chunked form holds at a time; None: 4 M, or those of 128 rows if that is more
        summed: the losses will be added up, so that the gradients can be had in the forward pass; False
            saves that work where they will be weighted

    Returns:
        [N], in float32, or float64 if the features are
    """
    served = features.is_cpu and cpu_kernels.serves(weight, *(() if bias is None else (bias,)))
    impl = impl or ("cpu" if served else "chunked")
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"linear_cross_entropy has no impl '{impl}': choose from {IMPLEMENTATIONS}")
    if impl == "cpu" and not served:
        raise RuntimeError("linear_cross_entropy: " + cpu_kernels.not_served())
    if impl == "naive":
        return naive(features, weight, bias, target, log_prior, ignore_index)
    device = features.device.type
    how = {
        "rows": cpu if impl == "cpu" else rows,
        "chunk": chunk,
        "computed": torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype,
    }
    with torch.autocast(device, enabled=False):
        return chunked(features, weight, bias, target, log_prior, ignore_index, summed, **how)


def linear_logsumexp(features, weight, bias, **how):
    """ln of the sum of exp(W h + b) over V, for each row of `features` [N, C]: [N], in nats."""
    return linear_cross_entropy(features, weight, bias, None, summed=False, **how)
