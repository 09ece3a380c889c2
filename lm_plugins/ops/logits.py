"""logits: W h + b, in float32 or better."""

import torch
from torch import Tensor
from torch.nn import functional as F


def logits(
    features: Tensor,  # [..., C]
    weight: Tensor,  # [V, C]
    bias: Tensor | None,  # [V]
) -> Tensor:  # [..., V]
    """Return the logits of all V words.

    The product has the precision of the weight, and is converted to float32 before the bias is added, because
    the bias starts at -ln V, and bfloat16 rounds logits of 10 with errors of 0.03.
    """
    with torch.autocast(features.device.type, enabled=False):
        if weight.dtype in (torch.float32, torch.float64):
            return F.linear(features.to(weight.dtype), weight, bias)
        product = F.linear(features.to(weight.dtype), weight).float()
    return product if bias is None else product + bias
