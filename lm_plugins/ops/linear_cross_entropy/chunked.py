"""Loss and gradients in one pass over chunks of rows.

The logits of a chunk are overwritten with their gradient, of which only the products with the features and
the weight are stored: memory holds the logits of one chunk, not [N, V]. The idea is that of Liger Kernel (Hsu
et al. 2024, arXiv:2410.10989) and Cut Cross-Entropy (Wijmans et al. 2024, arXiv:2411.09009).

Where gradients are enabled, the forward pass computes them as if the upstream gradient of every loss were
1. The backward pass multiplies them by the upstream gradient if that is the same number for all losses, as
it is for their sum or mean. It computes the chunks again if the numbers differ, when it runs a second time,
and in float16, where small gradients need the loss scale inside the products.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lm_plugins.ops.linear_cross_entropy.chunks import Options, product_dtype
from lm_plugins.ops.linear_cross_entropy.softmax import ChunkSoftmax
from lm_plugins.ops.negation import is_one_number


class Inputs(NamedTuple):
    """The arguments of the loss, or their gradients, each of which may be None."""

    features: Tensor  # [N, K, C]
    weight: Tensor  # [V, C]
    bias: Tensor | None  # [V]
    log_prior: Tensor | None  # [N, K]


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        features: Tensor,  # [N, K, C]
        weight: Tensor,  # [V, C]
        bias: Tensor | None,  # [V]
        log_prior: Tensor | None,  # [N, K]
        target: Tensor,  # [N]
        valid: Tensor | None,  # [N], 0 for rows that are ignored, else 1; None: 1 for all rows
        grad_in_forward: bool,
        options: Options,
    ) -> Tensor:  # [N]
        inputs = Inputs(features, weight, bias, log_prior)
        ctx.options = options
        ctx.save_for_backward(*inputs, target, valid)
        needs_grad = Inputs(*ctx.needs_input_grad[:4])
        in_forward = grad_in_forward and any(needs_grad) and options.dtype != torch.float16
        nll, ctx.gradients = losses(inputs, target, valid, needs_grad if in_forward else None, options)
        return nll if valid is None else nll.where(valid != 0, 0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, target, valid = ctx.saved_tensors
        gradients, ctx.gradients = ctx.gradients, None  # autograd copies one that is referenced elsewhere
        if gradients is not None and len(target):
            gradients = scaled(gradients, upstream, valid)
        if gradients is None:
            upstream = upstream if valid is None else upstream * valid
            needs_grad = Inputs(*ctx.needs_input_grad[:4])
            _, gradients = losses(Inputs(*inputs), target, upstream, needs_grad, ctx.options)
        return *gradients, None, None, None, None


def scaled(gradients: Inputs, upstream: Tensor, valid: Tensor | None) -> Inputs | None:
    """Return `gradients` times the number that `upstream` [N] has in all valid rows; None if they differ.

    The gradient of a sum is one number that is expanded to [N]. For other gradients on a GPU, where the host
    must not wait for the answer, the device asserts that the numbers do not differ.
    """
    scale, equal = upstream[0], None
    if not is_one_number(upstream):
        if valid is not None:
            upstream = upstream * valid
        scale = torch.where(upstream.amax() > 0, upstream.amax(), upstream.amin())  # ignored rows have 0
        equal = ((upstream == (scale if valid is None else scale * valid)) | upstream.isnan()).all()
    if upstream.is_cuda:
        if equal is not None:
            message = "the losses have different upstream gradients: call linear_cross_entropy with "
            torch._assert_async(equal, message + "grad_in_forward=False")
    elif equal is not None and not equal:
        return None
    elif scale == 1:
        return gradients
    tensors = [grad for grad in gradients if grad is not None]
    for dtype in {grad.dtype for grad in tensors}:
        torch._foreach_mul_([grad for grad in tensors if grad.dtype == dtype], scale.to(dtype))
    return gradients


def losses(
    inputs: Inputs, target: Tensor, upstream: Tensor | None, needs_grad: Inputs | None, options: Options
) -> tuple[Tensor, Inputs | None]:
    """Return the losses [N], and the gradients of the sum of `upstream` [N] times the losses.

    The gradients are None if `needs_grad` is None, and each one that is not needed is None. An `upstream` of
    None stands for ones.
    """
    count, k, _ = inputs.features.shape
    gradients = None if needs_grad is None else gradient_memory(inputs, needs_grad, options)
    softmax, chunks = options.chunks(inputs.weight, inputs.bias, count, k)
    of_chunks = []
    for rows in chunks:
        chunk_upstream = None if upstream is None else upstream[rows]
        of_chunks.append(chunk_losses(softmax, inputs, target, rows, chunk_upstream, gradients))
    dtype = torch.promote_types(inputs.features.dtype, torch.float32)
    if not of_chunks:
        return inputs.features.new_empty(0, dtype=dtype), gradients
    return (of_chunks[0] if len(of_chunks) == 1 else torch.cat(of_chunks)).to(dtype), gradients


def gradient_memory(inputs: Inputs, needs_grad: Inputs, options: Options) -> Inputs:
    """Return memory for each gradient that is needed, and None for the others.

    It is not initialised, since each chunk writes its rows, and the first one all of W and b; without rows
    it is zero.
    """
    empty = len(inputs.features) == 0
    d_weight = options.d_weight() if options.d_weight and needs_grad.weight else None
    needs_grad = needs_grad._replace(weight=needs_grad.weight and d_weight is None)
    new = torch.zeros_like if empty else torch.empty_like
    pairs = zip(inputs, needs_grad, strict=True)
    gradients = Inputs(
        *(new(x, memory_format=torch.contiguous_format) if needed else None for x, needed in pairs)
    )
    if d_weight is not None:
        gradients = gradients._replace(weight=d_weight.zero_() if empty else d_weight)
    return gradients


def chunk_losses(
    softmax: ChunkSoftmax,
    inputs: Inputs,
    target: Tensor,
    rows: slice,
    upstream: Tensor | None,  # [n]
    gradients: Inputs | None,
) -> Tensor:  # [n]
    """Return the losses of n `rows`, whose gradients are added to `gradients`; the first rows set them."""
    k, target = inputs.features.size(1), target[rows]
    features = inputs.features[rows].flatten(0, 1)  # [n K, C]
    if k > 1:
        target = target.repeat_interleave(k)  # [n K]
    log_p = softmax.forward(features, target)
    joint = None  # [n, K], ln of pi_k p_k(target)
    if inputs.log_prior is not None:
        joint = log_p.view(-1, k) + inputs.log_prior[rows]
    if gradients is not None:
        scale = upstream
        if joint is not None:
            posterior = torch.softmax(joint, dim=1)
            posterior = posterior if upstream is None else posterior * upstream.unsqueeze(1)
            if gradients.log_prior is not None:
                gradients.log_prior[rows] = -posterior
            scale = posterior.flatten()
        d_features = None if gradients.features is None else gradients.features[rows]
        first = rows.start == 0
        softmax.backward(features, target, scale, d_features, gradients.weight, gradients.bias, first)
    return -log_p if joint is None else -torch.logsumexp(joint, dim=1)


def linear_cross_entropy(
    features: Tensor,  # [N, C] or [N, K, C]
    weight: Tensor,  # [V, C]
    bias: Tensor | None,  # [V]
    target: Tensor,  # [N]
    log_prior: Tensor | None,  # [N, K]
    ignore_index: int | None,
    grad_in_forward: bool,
    softmax: type[ChunkSoftmax],
    chunk: int | None,
    d_weight: Callable[[], Tensor | None] | None,
) -> Tensor:  # [N]
    if log_prior is None:
        features = features.unsqueeze(1)
    if target.shape != features.shape[:1]:
        raise ValueError(f"{len(features)} rows need a target each, not targets of {tuple(target.shape)}")
    valid = None
    if ignore_index is not None:
        valid = target.ne(ignore_index).to(torch.promote_types(features.dtype, torch.float32))
    options = Options(softmax, chunk, product_dtype(weight), d_weight)
    in_forward = grad_in_forward and torch.is_grad_enabled()  # a Function does not see that they are off
    with torch.autocast(features.device.type, enabled=False):
        return LinearCrossEntropy.apply(features, weight, bias, log_prior, target, valid, in_forward, options)
