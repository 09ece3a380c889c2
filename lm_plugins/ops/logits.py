"""logits: W h + b, in float32 or better."""

import torch
from torch.nn import functional as F


def logits(features, weight, bias, dtype=None):
    """features [..., C], weight [V, C], bias [V] or None -> [..., V].

    Args:
        dtype: of the product, which is widened before the bias is added; None: that of the weight.
            A product in bfloat16 has rounding errors of 0.03 at logits of 10, and the bias starts at -ln V.
    """
    dtype = dtype or weight.dtype
    with torch.autocast(features.device.type, enabled=False):
        if dtype in (torch.float32, torch.float64):
            return F.linear(features.to(dtype), weight.to(dtype), bias)
        product = F.linear(features.to(dtype), weight.to(dtype)).float()
    return product if bias is None else product + bias
