"""Adaptive softmax (Grave et al. 2017, arXiv:1609.04309), tied to the input embedding or not."""

import torch
from torch import nn
from torch.nn import functional as F

from lm_plugins.modules.output_layer import OutputLayer, check_shared_weight
from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.logits import logits


class AdaptiveSoftmax(OutputLayer):
    """A softmax over the frequent words and one entry for each tail of rarer words.

        p(w) = p(w | head)                                   for w below the first cutoff
        p(w) = p(tail i | head) softmax(W_i P_i h)_w         for w in tail i

    Words must be numbered by falling frequency. A tail is computed for its own targets only.

    Tied, W is the table of the input embedding with a bias for each word, the tails have full width
    (P = 1) and each a vector of its own in the head that starts at zero, as in Merity et al. (2018,
    arXiv:1803.08240) and awd-lstm-lm's SplitCrossEntropyLoss. Untied, tail i has C / factor^i features
    and nothing has a bias: the form and layout of ``torch.nn.AdaptiveLogSoftmaxWithLoss``.

    Args:
        features: C
        vocabulary: V
        cutoffs: first word of each tail, rising, between 0 and V
        weight: [V, C] Parameter to share; None: untied
        factor: the tails' reduction, untied
    """

    def __init__(self, features, vocabulary, *, cutoffs, weight=None, factor=4.0, padding_idx=None):
        super().__init__(padding_idx)
        bounds = [0, *cutoffs, vocabulary]
        if not cutoffs or any(low >= high for low, high in zip(bounds, bounds[1:], strict=False)):
            raise ValueError(
                f"the cutoffs {', '.join(map(str, cutoffs)) or '(none)'} of an adaptive softmax must be "
                f"strictly increasing, above 0 and below the vocabulary size of {vocabulary}"
            )
        self.bounds, self.weight, tails = bounds, weight, len(cutoffs)
        self.register_buffer("cutoffs", torch.tensor(cutoffs), persistent=False)
        self.sizes = [high - low for low, high in zip(bounds, bounds[1:], strict=False)]
        if weight is not None:
            check_shared_weight(weight, vocabulary, features)
            self.bias = nn.Parameter(torch.zeros(vocabulary))
            self.tail_vectors = nn.Parameter(torch.zeros(tails, features))
            self.tail_bias = nn.Parameter(torch.zeros(tails))
            return
        widths = [int(features / factor**i) for i in range(1, tails + 1)]
        if min(widths) < 1:
            raise ValueError(
                f"the last of {tails} tails would have {features} / {factor:g}^{tails} < 1 features: use "
                "fewer cutoffs or a smaller factor"
            )
        self.head = nn.Linear(features, cutoffs[0] + tails, bias=False)
        self.tail = nn.ModuleList(
            nn.Sequential(nn.Linear(features, width, bias=False), nn.Linear(width, size, bias=False))
            for width, size in zip(widths, self.sizes[1:], strict=True)
        )

    def parts(self):
        """(P or None, W, b or None) of the head and of each tail; of the head first come the words."""
        if self.weight is None:
            tails = [(tail[0].weight, tail[1].weight, None) for tail in self.tail]
            return [(None, self.head.weight, None), *tails]
        (weight, *weights), (bias, *biases) = self.weight.split(self.sizes), self.bias.split(self.sizes)
        head = (None, torch.cat([weight, self.tail_vectors]), torch.cat([bias, self.tail_bias]))
        return [head, *((None, w, b) for w, b in zip(weights, biases, strict=True))]

    def log_prob(self, features):
        head, *tails = [
            F.log_softmax(logits(_projected(features, p), w, b), dim=-1) for p, w, b in self.parts()
        ]
        words, entries = head.split([self.sizes[0], len(tails)], dim=-1)
        tails = [entry + tail for entry, tail in zip(entries.split(1, dim=-1), tails, strict=True)]
        return torch.cat([words, *tails], dim=-1)

    def nll(self, features, target):
        rows, words = features.flatten(0, -2), target.flatten()
        tail = torch.bucketize(words, self.cutoffs, right=True)  # 0: the head, i: the i-th tail
        entry = torch.where(tail == 0, words, self.sizes[0] - 1 + tail)
        (_, weight, bias), *tails = self.parts()
        nll = linear_cross_entropy(rows, weight, bias, entry, ignore_index=self.padding_idx)
        counts = tail.new_zeros(len(self.sizes)).scatter_add_(0, tail, torch.ones_like(tail))
        # One wait for the GPU; bincount has two of its own. A tail without targets gets a gradient of zero,
        # which DDP relies on.
        of_tail = tail.argsort().split(counts.tolist())
        for (p, w, b), index, low in zip(tails, of_tail[1:], self.bounds[1:-1], strict=True):
            inner = linear_cross_entropy(_projected(rows[index], p), w, b, words[index] - low)
            nll = nll.index_add(0, index, inner)
        return nll.view_as(target)


def _projected(features, projection):
    return features if projection is None else F.linear(features, projection)
