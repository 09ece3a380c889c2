"""From the last layer's features to the probability of a word."""

import torch
from torch import nn
from torch.nn import functional as F

EVALUATED_ROWS = 1024  # tokens whose whole distribution is held at a time, without gradients


class OutputLayer(nn.Module):
    """What every output layer offers; all in float32 or better, natural logarithms.

    ``log_prob(features [..., C])``: ln p over the vocabulary, [..., V], normalised
    ``nll(features [..., C], target [...])``: -ln p(target) in nats, [...]
    """

    def log_prob(self, features):
        raise NotImplementedError

    def nll(self, features, target):
        raise NotImplementedError


class Softmax(OutputLayer):
    """p = softmax(W h + b) over V words.

    Args:
        features: C
        vocabulary: V
        weight: [V, C] Parameter to share with the input embedding (Press and Wolf 2016,
            arXiv:1608.05859; Inan et al. 2016, arXiv:1611.01462); None: one of its own
        init_range: a weight of its own starts uniform in +- this; the bias starts at zero
    """

    def __init__(self, features, vocabulary, weight=None, init_range=0.1):
        super().__init__()
        if weight is None:
            weight = nn.Parameter(torch.empty(vocabulary, features))
            nn.init.uniform_(weight, -init_range, init_range)
        if weight.shape != (vocabulary, features):
            raise ValueError(
                f"an output layer of {vocabulary} words and {features} features cannot share a "
                f"weight of {tuple(weight.shape)}"
            )
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def logits(self, features):
        logits = F.linear(features, self.weight, self.bias)
        return logits if logits.dtype == torch.float64 else logits.float()

    def log_prob(self, features):
        return F.log_softmax(self.logits(features), dim=-1)

    def nll(self, features, target):
        rows, words = features.flatten(0, -2), target.flatten()
        size = len(rows) if torch.is_grad_enabled() else EVALUATED_ROWS
        parts = [
            F.cross_entropy(self.logits(chunk), index, reduction="none")
            for chunk, index in zip(rows.split(size), words.split(size), strict=True)
        ]
        return torch.cat(parts).view_as(target)

    def score(self, features, index):
        """Logits of given words: `index` [..., K] of each row, or [K] for all rows -> [..., K]."""
        if index.dim() == 1:
            return F.linear(features, self.weight[index], self.bias[index])
        weight, bias = self.weight[index], self.bias[index]
        return torch.einsum("...kc,...c->...k", weight, features) + bias
