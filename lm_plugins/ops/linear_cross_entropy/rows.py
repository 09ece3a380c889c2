"""The element-wise work on a chunk of logits, in torch."""

import torch

from lm_plugins.ops.logits import logits


def buffer(weight, rows):
    """None: torch gives each chunk its memory."""


def scores(h, weight, bias, buffer):
    """W h + b, [n, V]."""
    return logits(h, weight, bias)


def log_prob(scores, bias, target):
    """ln p(target) and ln of the sum of the exponentials, [n] each, and what `gradient` takes."""
    log_p = torch.log_softmax(scores, dim=-1)
    log_z = scores[:, 0] - log_p[:, 0]
    return None if target is None else log_p.gather(1, target.unsqueeze(1)).squeeze(1), log_z, log_p


def gradient(kept, target, share, d_bias):
    """share [n] times softmax, less `share` at the target: of the logits, [n, V]; its sum goes to d_bias."""
    share = share.unsqueeze(1)
    d_logits = kept.exp_().mul_(share)
    if target is not None:
        d_logits.scatter_add_(1, target.unsqueeze(1), -share)
    if d_bias is not None:
        d_bias += d_logits.sum(0).to(d_bias.dtype)
    return d_logits
