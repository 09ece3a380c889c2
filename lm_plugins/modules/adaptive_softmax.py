"""Adaptive softmax (Grave et al. 2017, arXiv:1609.04309), tied to the input embedding or not."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lm_plugins.modules.head import Head
from lm_plugins.modules.vocabulary_matrix import check_shared_weight
from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.logits import logits
from lm_plugins.ops.row_blocks import split_rows


class Cluster(NamedTuple):
    """The root or a tail."""

    projection: Tensor | None  # P [E, C]
    weight: Tensor  # W [n, E or C]
    bias: Tensor | None  # b [n]
    d_weight: Callable[[], Tensor | None] | None = None  # see ops/row_blocks.py


class AdaptiveSoftmax(Head):
    """A softmax over the frequent words and one entry for each tail of rare words.

        p(w) = p(w | root)                                   for w below the first cutoff
        p(w) = p(tail i | root) softmax(W_i P_i h)_w         for w in tail i

    Words must be sorted by decreasing frequency. A tail is computed for its own targets only. The root is the
    head of the paper; its attribute has the name that torch's module uses, `head`.

    If tied, W is the table of the input embedding, with a bias for each word. The tails have full width
    (P = 1), and each has a vector in the root, which is initialised to zero, as in Merity et al. (2018,
    arXiv:1803.08240) and awd-lstm-lm's SplitCrossEntropyLoss. If untied, tail i has C / factor^i features and
    nothing has a bias: the form and the state dict of ``torch.nn.AdaptiveLogSoftmaxWithLoss``.

    Args:
        features: C
        vocabulary_size: V
        cutoffs: first word of each tail, strictly increasing, between 0 and V
        weight: [V, C] Parameter to share; None: untied
        factor: reduction factor of the untied tails
        padding_idx: targets that are not scored

    Raises:
        ValueError: the cutoffs are not increasing or out of range, the padding symbol is in a tail, `weight`
            has another shape, or a tail would have no features.
    """

    def __init__(
        self,
        features: int,
        vocabulary_size: int,
        *,
        cutoffs: Sequence[int],
        weight: nn.Parameter | None = None,
        factor: float = 4.0,
        padding_idx: int | None = None,
    ):
        super().__init__(padding_idx)
        bounds = [0, *cutoffs, vocabulary_size]
        if not cutoffs or any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(
                f"the cutoffs {', '.join(map(str, cutoffs)) or '(none)'} of an adaptive softmax must be "
                f"strictly increasing, above 0 and below the vocabulary size of {vocabulary_size}"
            )
        if padding_idx is not None and padding_idx >= bounds[1]:  # that entry of the root is a tail
            raise ValueError(
                f"the first cutoff {bounds[1]} of an adaptive softmax must be above {padding_idx}, the id of "
                "the padding symbol"
            )
        self.bounds, self.weight, tails = bounds, weight, len(cutoffs)
        self.register_buffer("cutoffs", torch.tensor(cutoffs), persistent=False)
        self.sizes = [high - low for low, high in pairwise(bounds)]  # words of the root and of each tail
        if weight is not None:
            check_shared_weight(weight, vocabulary_size, features)
            self.bias = nn.Parameter(torch.zeros(vocabulary_size))
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

    def clusters(self) -> list[Cluster]:
        """Return the root, whose first entries are words, and each tail."""
        if self.weight is None:
            tails = [Cluster(tail[0].weight, tail[1].weight, None) for tail in self.tail]
            return [Cluster(None, self.head.weight, None), *tails]
        (weight, *weights), rows = split_rows(self.weight, self.sizes)
        bias, *biases = self.bias.split(self.sizes)
        root = Cluster(None, torch.cat([weight, self.tail_vectors]), torch.cat([bias, self.tail_bias]))
        pairs = enumerate(zip(weights, biases, strict=True), 1)
        return [root, *(Cluster(None, w, b, partial(rows.block, index)) for index, (w, b) in pairs)]

    def log_prob(self, features: Tensor) -> Tensor:
        root, *tails = [
            F.log_softmax(logits(_projected(features, p), w, b), dim=-1) for p, w, b, _ in self.clusters()
        ]
        words, entries = root.split([self.sizes[0], len(tails)], dim=-1)
        tails = [entry + tail for entry, tail in zip(entries.split(1, dim=-1), tails, strict=True)]
        return torch.cat([words, *tails], dim=-1)

    def host_facts(self, target: Any) -> dict[str, Any]:
        """Return the number of targets in the root and in each tail."""
        if target is None:
            return {}
        cutoffs = torch.tensor(self.bounds[1:-1], device="cpu")
        cluster = torch.bucketize(torch.from_numpy(target).flatten(), cutoffs, right=True)
        return {"counts": cluster.bincount(minlength=len(self.sizes)).tolist()}

    def nll(self, features: Tensor, target: Tensor, counts: Sequence[int] | None = None) -> Tensor:
        """Return -ln p(target), see :meth:`Head.nll`.

        Args:
            counts: number of targets in the root and in each tail; None: they are counted, which makes the
                host wait for a GPU
        """
        rows, words = features.flatten(0, -2), target.flatten()
        cluster = torch.bucketize(words, self.cutoffs, right=True)  # 0: the root, i: the i-th tail
        entry = torch.where(cluster == 0, words, self.sizes[0] - 1 + cluster)
        root, *tails = self.clusters()
        nll = linear_cross_entropy(rows, root.weight, root.bias, entry, ignore_index=self.padding_idx)
        if counts is None:  # bincount would wait twice
            counts = cluster.new_zeros(len(self.sizes)).scatter_add_(0, cluster, torch.ones_like(cluster))
            counts = counts.tolist()
        # A tail without targets gets a gradient of zero, which DistributedDataParallel relies on.
        rows_of_cluster = cluster.argsort().split(list(counts))
        for tail, index, low in zip(tails, rows_of_cluster[1:], self.bounds[1:-1], strict=True):
            x, word = _projected(rows[index], tail.projection), words[index] - low
            in_tail = linear_cross_entropy(x, tail.weight, tail.bias, word, d_weight=tail.d_weight)
            nll = nll.index_add(0, index, in_tail)
        return nll.view_as(target)


def _projected(features: Tensor, projection: Tensor | None) -> Tensor:
    return features if projection is None else F.linear(features, projection)
