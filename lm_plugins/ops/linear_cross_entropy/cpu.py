"""The element-wise work on a chunk of logits by the kernels of cpu.cpp, in the chunk's own memory."""

import torch

from lm_plugins.ops.cpu_kernels import call


def buffer(weight, rows):
    """The memory that all chunks lie in, one after the other."""
    return weight.new_empty(rows, len(weight))


def scores(h, weight, bias, buffer):
    """W h [n, V], in `buffer`; the bias is added later."""
    return torch.mm(h.to(weight.dtype), weight.t(), out=buffer[: len(h)])


def log_prob(scores, bias, target):
    """ln p(target) and ln of the sum of the exponentials, [n] each, and what `gradient` takes."""
    total, largest, at = scores.new_empty(3, len(scores))
    bias = None if bias is None else bias.contiguous()
    call("cross_entropy_exponentials", scores.dtype, scores, bias, target, *scores.shape, total, largest, at)
    log_z = largest + total.log()
    return at - log_z, log_z, (scores, total)


def gradient(kept, target, share, d_bias):
    """share [n] times softmax, less `share` at the target: of the logits, [n, V]; its sum goes to d_bias."""
    exponentials, total = kept
    of_row = (share / total, share)
    call("cross_entropy_gradient", share.dtype, exponentials, target, *of_row, *exponentials.shape, d_bias)
    return exponentials
