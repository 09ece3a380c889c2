"""From the last layer's features to the probability of a word: what all output layers share."""

import math

import torch
from torch import nn

from lm_plugins.ops.gather_rows import gather_rows
from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.logits import logits


class OutputLayer(nn.Module):
    """What every output layer offers; all in float32 or better, natural logarithms.

    ``log_prob(features [..., C])``: ln p over the vocabulary, [..., V], normalised
    ``nll(features [..., C], target [...])``: -ln p(target) in nats, [...], without ever holding
    [..., V]; zero, without a gradient, where the target is `padding_idx` (None: nowhere)
    """

    def __init__(self, padding_idx=None):
        super().__init__()
        self.padding_idx = padding_idx

    def log_prob(self, features):
        raise NotImplementedError

    def nll(self, features, target):
        raise NotImplementedError


class VocabularyMatrix(nn.Module):
    """A logit for each of V words: W h + b, or W (P h) + b with W P of rank r.

    The bias starts at -ln V, so that the exponentials of all logits sum to about one: no softmax
    depends on that, and noise contrastive estimation does.

    Args:
        features: C
        vocabulary: V
        weight: W, a [V, C] Parameter to share with the input embedding (Press and Wolf 2016,
            arXiv:1608.05859; Inan et al. 2016, arXiv:1611.01462); None: one of its own
        rank: r, factorises a W of its own into [V, r] [r, C] (Zhang 2018, section 7.3, after
            Kuchaiev and Ginsburg 2017, arXiv:1703.10722); None: no factors
        init_range: a W of its own starts uniform in +- this
        sparse: gradients of the rows that `scores` looks up are sparse
        split: a :class:`SplitVocabulary`, if this process has a part of the rows of W and b
    """

    def __init__(
        self, features, vocabulary, weight=None, rank=None, init_range=0.1, sparse=False, split=None
    ):
        super().__init__()
        if rank is not None and (weight is not None or not 0 < rank < features):
            raise ValueError(
                f"the output matrix cannot be factorised with rank {rank}: the rank must be at least 1 and "
                f"below the {features} features, and the matrix must not be tied to the embedding"
            )
        width = rank or features
        if weight is None and split is None:
            weight = nn.Parameter(torch.empty(vocabulary, width))
            nn.init.uniform_(weight, -init_range, init_range)
        elif weight is None:
            weight = nn.Parameter(split.uniform(width, init_range))
        bias = torch.full((vocabulary,), -math.log(vocabulary))
        if split is not None:
            bias = split.own(bias).clone()
        check_shared_weight(weight, len(bias), width)
        self.weight, self.sparse, self.split = weight, sparse, split
        self.bias = nn.Parameter(bias)
        if split is not None:
            split.share(self, "weight", "bias")
        self.factor = nn.Linear(features, rank, bias=False) if rank else nn.Identity()

    def forward(self, features):
        """[..., C] -> logits [..., V].

        Raises:
            ValueError: no process has all V words
        """
        if self.split is not None and self.split.world > 1:
            raise ValueError(
                "with a vocabulary split across processes, no process has the logits of all words: use a "
                "single process"
            )
        return logits(self.factor(features), self.weight, self.bias)

    def nll(self, features, target, **options):
        """:func:`linear_cross_entropy` of features [N, C] or [N, K, C]; split, of [N, C]."""
        if self.split is not None:
            return self._split_nll(features, target, **options)
        return linear_cross_entropy(self.factor(features), self.weight, self.bias, target, **options)

    def _split_nll(self, features, target, ignore_index=None):
        total = self.split.logsumexp(self.factor(features), self.weight, self.bias)
        nll = total - self.scores(features, target.unsqueeze(-1)).squeeze(-1)
        return nll if ignore_index is None else nll.masked_fill(target == ignore_index, 0)

    def scores(self, features, index):
        """Logits of the words `index`: [K] for all rows, or [T, K] for each step, or [T, B, K].

        features [..., C], or [T, B, C] with an index for each step -> [..., K]
        """
        look_up = gather_rows if self.split is None else self.split.rows
        rows = look_up(self.weight, index, self.sparse)
        bias = look_up(self.bias, index, self.sparse)
        features = self.factor(features)
        if index.dim() == 1:
            return logits(features, rows, bias)
        with torch.autocast(features.device.type, enabled=False):  # as in logits
            features = features.to(rows.dtype)
            if index.dim() == features.dim():  # of each row
                return widened((rows @ features.unsqueeze(-1)).squeeze(-1)) + bias
            return widened(features @ rows.mT) + bias.unsqueeze(1)


def check_shared_weight(weight, vocabulary, features):
    if weight.shape != (vocabulary, features):
        raise ValueError(
            f"an output layer of {vocabulary} words and {features} features cannot share a weight of shape "
            f"{tuple(weight.shape)}"
        )


def widened(x):
    """Half precision to float32, all else as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
