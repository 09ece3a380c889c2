"""The softmax of a chunk in torch."""

import torch
from torch import Tensor

from lm_plugins.ops.linear_cross_entropy.softmax import ChunkSoftmax
from lm_plugins.ops.logits import logits


class TorchSoftmax(ChunkSoftmax):
    def forward(self, features: Tensor, target: Tensor | None) -> Tensor:
        scores = logits(features, self.logits_weight, self.bias)
        self.log_p = torch.log_softmax(scores, dim=-1)
        if target is None:
            return scores[:, 0] - self.log_p[:, 0]
        return self.log_p.gather(1, target.unsqueeze(1)).squeeze(1)

    def logits_gradient(
        self, target: Tensor | None, scale: Tensor | None, d_bias: Tensor | None, first: bool
    ) -> Tensor:
        d_logits = self.log_p.exp_()
        del self.log_p
        if target is not None:
            d_logits.scatter_(1, target.unsqueeze(1), -1, reduce="add")
        if scale is not None:
            d_logits.mul_(scale.unsqueeze(1))
        if d_bias is not None:
            d_bias.copy_(d_logits.sum(0)) if first else d_bias.add_(d_logits.sum(0))
        return d_logits
