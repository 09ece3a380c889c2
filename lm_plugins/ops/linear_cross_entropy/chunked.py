"""Loss and gradients in one pass over chunks of rows.

The logits of a chunk are turned into their gradient where they lie, and only their products with
the features and the weight are kept: what is held is one chunk, not [N, V]. The idea is that of
Liger Kernel (Hsu et al. 2024, arXiv:2410.10989) and Cut Cross-Entropy (Wijmans et al. 2024,
arXiv:2411.09009).

The forward pass assumes that the gradient with respect to every loss will be the same number, as it is for
their sum; the backward pass multiplies by that number. Where it is not so (`summed` says when not to try), in
a second backward pass, or in float16, whose small gradients need the loss scale inside the products, the
backward pass goes over the chunks again.

Autocast, the products for the gradients are in half precision. Those for the logits are on GPUs, which
add up in float32; on a CPU they stay in float32, for it rounds every logit to bfloat16 (an error of
0.03 at 10), which after 200 updates made a perplexity of 577 of one of 586.
"""

import torch

# Logits held at a time, or of so many rows: each chunk reads all of W. A GPU needs larger products.
CHUNK, ROWS = {"cpu": 1 << 22, "cuda": 1 << 27}, 128


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features, weight, bias, log_prior, target, kept, summed, how):
        ctx.how = how
        ctx.save_for_backward(features, weight, bias, log_prior, target, kept)
        eager = summed and any(ctx.needs_input_grad) and how["computed"] != torch.float16
        inputs = (features, weight, bias, log_prior, target)
        nll, ctx.gradients = _run(*inputs, kept if eager else None, ctx.needs_input_grad, **how)
        return nll.mul_(kept)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        *inputs, kept = ctx.saved_tensors
        upstream, gradients = upstream * kept, ctx.gradients
        ctx.gradients = None  # autograd copies what somebody else holds, too
        if gradients is not None and len(kept):
            gradients = _scaled(gradients, upstream, kept)
        if gradients is None:
            _, gradients = _run(*inputs, upstream, ctx.needs_input_grad, **ctx.how)
        return *gradients, None, None, None, None


def _scaled(gradients, upstream, kept):
    """`gradients` times the number that `upstream` is in all kept rows; None if there is no such number.

    On a GPU, where the host must not wait for the answer, it is asserted on the device.
    """
    scale = torch.where(upstream.amax() > 0, upstream.amax(), upstream.amin())  # other rows have 0
    common = ((upstream == scale * kept) | upstream.isnan()).all()
    if upstream.is_cuda:
        torch._assert_async(common, "losses are weighted: call linear_cross_entropy with summed=False")
    elif not common:
        return None
    elif scale == 1:
        return gradients
    return [None if g is None else g.mul_(scale.to(g.dtype)) for g in gradients]


def _run(features, weight, bias, log_prior, target, upstream, needed, *, rows, chunk, computed):
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
    in_logits = weight if features.is_cpu else w
    at_once = max(
        1,
        (chunk or max(CHUNK.get(weight.device.type, CHUNK["cpu"]), ROWS * len(weight))) // (k * len(weight)),
    )
    buffer = rows.buffer(weight, min(count, at_once) * k)
    for start in range(0, count, at_once):
        part = slice(start, start + at_once)
        h = features[part].flatten(0, 1)  # [nK, C]
        at = None if target is None else target[part].repeat_interleave(k)
        scores = rows.scores(h, in_logits, bias, buffer)
        h = h.to(computed)
        log_p, log_z, left = rows.log_prob(scores, bias, at)
        del scores
        if target is None:
            nll[part], joint = log_z, log_z.unsqueeze(1)
        else:
            joint = log_p.view(-1, k) if log_prior is None else log_p.view(-1, k) + log_prior[part]
            nll[part] = -torch.logsumexp(joint, dim=1)
        if upstream is None:
            continue
        share = torch.softmax(joint, dim=1) * upstream[part].unsqueeze(1)  # of each component in p(target)
        if d_prior is not None:
            d_prior[part] = -share
        d_logits = rows.gradient(left, at, share.flatten(), d_bias).to(computed)
        if d_features is not None:
            d_features[part] = (d_logits @ w).view_as(d_features[part])
        if d_weight is not None:
            if d_weight.dtype == computed:
                d_weight.addmm_(d_logits.T, h)
            else:
                d_weight += d_logits.T @ h
    return nll, None if upstream is None else gradients


def linear_cross_entropy(features, weight, bias, target, log_prior, ignore_index, summed, **how):
    if log_prior is None:
        features = features.unsqueeze(1)
    kept = torch.ones(len(features), device=features.device)
    if ignore_index is not None:
        kept = target.ne(ignore_index)
    kept = kept.to(torch.promote_types(features.dtype, torch.float32))
    return LinearCrossEntropy.apply(features, weight, bias, log_prior, target, kept, summed, how)
