"""The softmax of a chunk in torch."""

import torch
from torch import Tensor

from lm_plugins.ops.linear_cross_entropy.softmax import ChunkSoftmax
from lm_plugins.ops.logits import logits


class TorchSoftmax(ChunkSoftmax):
    def forward(self, features: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor | None]:
        scores = logits(features, self.logits_weight, self.bias)
        self.log_p = torch.log_softmax(scores, dim=-1)
        log_z = scores[:, 0] - self.log_p[:, 0]
        return log_z, None if target is None else self.log_p.gather(1, target.unsqueeze(1)).squeeze(1)

    def logits_gradient(self, target: Tensor | None, scale: Tensor, d_bias: Tensor | None) -> Tensor:
        scale = scale.unsqueeze(1)
        d_logits = self.log_p.exp_().mul_(scale)
        del self.log_p
        if target is not None:
            d_logits.scatter_add_(1, target.unsqueeze(1), -scale)
        if d_bias is not None:
            d_bias += d_logits.sum(0).to(d_bias.dtype)
        return d_logits
