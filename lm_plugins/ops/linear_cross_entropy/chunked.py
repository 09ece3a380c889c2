"""Loss and gradients in one pass over chunks of rows.

The logits of a chunk are turned into their gradient where they lie, and only their products with
the features and the weight are kept: what is held is one chunk, not [N, V]. The idea is that of
Liger Kernel (Hsu et al. 2024, arXiv:2410.10989) and Cut Cross-Entropy (Wijmans et al. 2024,
arXiv:2411.09009).

The forward pass assumes that the gradient with respect to every loss will be the same number, as it
is for their sum; the backward pass multiplies by that number. Where it is not so (`summed` says when not to
try), or in float16, whose small
gradients need the loss scale inside the products, the backward pass goes over the chunks again.

Autocast, the products for the gradients are in half precision. Those for the logits are on GPUs, which
add up in float32; on a CPU they stay in float32, for it rounds every logit to bfloat16 (an error of
0.03 at 10), which after 200 updates made a perplexity of 577 of one of 586.
"""

import torch

from lm_plugins.ops.logits import logits

CHUNK = 1 << 22  # logits held at a time


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features, weight, bias, log_prior, target, kept, chunk, computed, summed):
        ctx.chunking = (chunk, computed)
        ctx.save_for_backward(features, weight, bias, log_prior, target, kept)
        eager = summed and any(ctx.needs_input_grad) and computed != torch.float16
        nll, ctx.gradients = _run(
            features,
            weight,
            bias,
            log_prior,
            target,
            kept if eager else None,
            ctx.needs_input_grad,
            *ctx.chunking,
        )
        return nll.mul_(kept)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        *inputs, kept = ctx.saved_tensors
        upstream = upstream * kept
        gradients, scales = ctx.gradients, upstream[kept > 0]
        if gradients is None or not (scales == scales[:1]).all():
            _, gradients = _run(*inputs, upstream, ctx.needs_input_grad, *ctx.chunking)
        elif len(scales) and scales[0] != 1:
            gradients = [None if g is None else g * scales[0].to(g.dtype) for g in gradients]
        return *gradients, None, None, None, None, None


def _run(features, weight, bias, log_prior, target, upstream, needed, chunk, computed):
    """Loss of each row; its gradients times `upstream`, or None where that is None.

    Without a target the "loss" is ln of the sum of the row's exponentials.
    """
    count, k, _ = features.shape
    wide = torch.promote_types(features.dtype, torch.float32)
    nll = features.new_empty(count, dtype=wide)
    gradients = [None] * 4
    if upstream is not None:
        inputs = (features, weight, bias, log_prior)
        gradients = [torch.zeros_like(x) if need else None for x, need in zip(inputs, needed, strict=False)]
    d_features, d_weight, d_bias, d_prior = gradients
    w = weight.to(computed)
    in_logits = weight.dtype if features.is_cpu else computed
    rows = max(1, chunk // (k * len(weight)))
    for start in range(0, count, rows):
        part = slice(start, start + rows)
        h = features[part].flatten(0, 1)  # [nK, C]
        scores = logits(h, weight, bias, in_logits)
        log_p = torch.log_softmax(scores, dim=-1)  # [nK, V]
        h = h.to(computed)
        if target is None:
            nll[part] = scores[:, 0] - log_p[:, 0]
            joint = nll[part].unsqueeze(1)
        else:
            at = target[part].repeat_interleave(k).unsqueeze(1)
            joint = log_p.gather(1, at).view(-1, k)
            if log_prior is not None:
                joint = joint + log_prior[part]
            nll[part] = -torch.logsumexp(joint, dim=1)
        del scores
        if upstream is None:
            continue
        share = torch.softmax(joint, dim=1) * upstream[part].unsqueeze(1)  # of each component in p(target)
        if d_prior is not None:
            d_prior[part] = -share
        share = share.view(-1, 1)
        d_logits = log_p.exp_().mul_(share)
        if target is not None:
            d_logits.scatter_add_(1, at, -share)
        if d_bias is not None:
            d_bias += d_logits.sum(0).to(d_bias.dtype)
        d_logits = d_logits.to(computed)
        if d_features is not None:
            d_features[part] = (d_logits @ w).view_as(d_features[part])
        if d_weight is not None:
            if d_weight.dtype == computed:
                d_weight.addmm_(d_logits.T, h)
            else:
                d_weight += d_logits.T @ h
    return nll, None if upstream is None else gradients


def linear_cross_entropy(features, weight, bias, target, log_prior, ignore_index, chunk, computed, summed):
    if log_prior is None:
        features = features.unsqueeze(1)
    kept = torch.ones(len(features), device=features.device)
    if ignore_index is not None:
        kept = target.ne(ignore_index)
    kept = kept.to(torch.promote_types(features.dtype, torch.float32))
    return LinearCrossEntropy.apply(features, weight, bias, log_prior, target, kept, chunk, computed, summed)
