"""ln sum exp of the logits by chunks of rows; the backward pass computes each chunk again."""

import torch
from torch import Tensor

from lm_plugins.ops.linear_cross_entropy.chunks import Options, product_dtype
from lm_plugins.ops.linear_cross_entropy.softmax import ChunkSoftmax


class LinearLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        features: Tensor,  # [N, C]
        weight: Tensor,  # [V, C]
        bias: Tensor | None,  # [V]
        options: Options,
    ) -> Tensor:  # [N]
        ctx.options = options
        ctx.save_for_backward(features, weight, bias)
        log_z = features.new_empty(len(features), dtype=torch.promote_types(features.dtype, torch.float32))
        softmax, chunks = options.chunks(weight, bias, len(features))
        for rows in chunks:
            log_z[rows] = softmax.forward(features[rows], None)
        return log_z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias = ctx.saved_tensors
        pairs = zip((features, weight, bias), ctx.needs_input_grad[:3], strict=True)
        d_features, d_weight, d_bias = (torch.zeros_like(x) if needed else None for x, needed in pairs)
        softmax, chunks = ctx.options.chunks(weight, bias, len(features))
        for rows in chunks:
            softmax.forward(features[rows], None)
            d_rows = None if d_features is None else d_features[rows]
            softmax.backward(features[rows], None, upstream[rows], d_rows, d_weight, d_bias, rows.start == 0)
        return d_features, d_weight, d_bias, None


def linear_logsumexp(
    features: Tensor,  # [N, C]
    weight: Tensor,  # [V, C]
    bias: Tensor | None,  # [V]
    softmax: type[ChunkSoftmax],
    chunk: int | None,
) -> Tensor:  # [N]
    options = Options(softmax, chunk, product_dtype(weight))
    with torch.autocast(features.device.type, enabled=False):
        return LinearLogSumExp.apply(features, weight, bias, options)
