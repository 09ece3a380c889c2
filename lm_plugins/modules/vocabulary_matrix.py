"""VocabularyMatrix: the map from features to a logit for each word, shared by softmax and mixture."""

import torch
from torch import Tensor, nn

from lm_plugins.modules.split_vocabulary import SplitVocabulary
from lm_plugins.ops.gather_rows import gather_rows
from lm_plugins.ops.linear_cross_entropy import linear_cross_entropy
from lm_plugins.ops.logits import logits


class VocabularyMatrix(nn.Module):
    """The logits of V words: W h + b, or W (P h) + b with W P of rank r.

    Args:
        features: C
        vocabulary_size: V
        weight: W, a [V, C] Parameter to share with the input embedding (Press and Wolf 2016,
            arXiv:1608.05859; Inan et al. 2016, arXiv:1611.01462); None: not shared
        rank: r, factorises a W that is not shared into [V, r] [r, C] (Zhang 2018, section 7.3, after
            Kuchaiev and Ginsburg 2017, arXiv:1703.10722); None: no factors
        init_range: a W that is not shared is initialised uniformly in +- this
        bias_init: initial value of all elements of b; -ln V makes the exponentials of all logits sum to about
            one. A softmax does not depend on that, but noise contrastive estimation does.
        sparse: the gradients of :meth:`scores` are sparse
        split: a :class:`SplitVocabulary`, if each process has a shard of the rows of W and b

    Raises:
        ValueError: `rank` is out of range, or `weight` has another shape.
    """

    def __init__(
        self,
        features: int,
        vocabulary_size: int,
        weight: nn.Parameter | None = None,
        rank: int | None = None,
        init_range: float = 0.1,
        bias_init: float = 0.0,
        sparse: bool = False,
        split: SplitVocabulary | None = None,
    ):
        super().__init__()
        if rank is not None and (weight is not None or not 0 < rank < features):
            raise ValueError(
                f"the output matrix cannot be factorised with rank {rank}: the rank must be at least 1 and "
                f"below the {features} features, and the matrix must not be tied to the embedding"
            )
        width = rank or features
        if weight is None and split is None:
            weight = nn.Parameter(torch.empty(vocabulary_size, width))
            nn.init.uniform_(weight, -init_range, init_range)
        elif weight is None:
            weight = nn.Parameter(split.uniform(width, init_range))
        bias = torch.full((vocabulary_size,), bias_init)
        if split is not None:
            bias = split.own(bias).clone()
        check_shared_weight(weight, len(bias), width)
        self.weight, self.sparse, self.split = weight, sparse, split
        self.bias = nn.Parameter(bias)
        if split is not None:
            split.share(self, "weight", "bias")
        self.factor = nn.Linear(features, rank, bias=False) if rank else nn.Identity()

    @property
    def is_one_dense_tensor(self) -> bool:
        """Whether W is not factorised, is whole on this process, and has dense gradients."""
        return isinstance(self.factor, nn.Identity) and self.split is None and not self.sparse

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of all words: features [..., C] -> [..., V].

        Raises:
            ValueError: no process has all V words.
        """
        if self.split is not None and self.split.world > 1:
            raise ValueError(
                "with a vocabulary split across processes, no process has the logits of all words: use a "
                "single process"
            )
        return logits(self.factor(features), self.weight, self.bias)

    def nll(self, features: Tensor, target: Tensor, **options) -> Tensor:
        """Return -ln p(target) in nats; see :func:`linear_cross_entropy` for the options.

        features [N, C], or [N, K, C] unless the vocabulary is split; target [N] -> [N]
        """
        if self.split is not None:
            return self._split_nll(features, target, **options)
        return linear_cross_entropy(self.factor(features), self.weight, self.bias, target, **options)

    def _split_nll(self, features: Tensor, target: Tensor, ignore_index: int | None = None) -> Tensor:
        log_z = self.split.logsumexp(self.factor(features), self.weight, self.bias)
        nll = log_z - self.scores(features, target.unsqueeze(-1)).squeeze(-1)
        return nll if ignore_index is None else nll.masked_fill(target == ignore_index, 0)

    def scores(self, features: Tensor, index: Tensor) -> Tensor:
        """Return the logits of K words.

        Args:
            features: [..., C], or [T, B, C] with words for each step
            index: the words: [K] for all rows, [T, K] for each step, or [..., K] for each row

        Returns:
            [..., K]
        """
        look_up = gather_rows if self.split is None else self.split.rows
        rows = look_up(self.weight, index, self.sparse)
        bias = look_up(self.bias, index, self.sparse)
        features = self.factor(features)
        if index.dim() == 1:
            return logits(features, rows, bias)
        with torch.autocast(features.device.type, enabled=False):  # see ops/logits.py
            features = features.to(rows.dtype)
            if index.dim() == features.dim():  # words for each row
                return at_least_float32((rows @ features.unsqueeze(-1)).squeeze(-1)) + bias
            return at_least_float32(features @ rows.mT) + bias.unsqueeze(1)


def check_shared_weight(weight: Tensor, vocabulary_size: int, features: int) -> None:
    """Raise a ValueError unless `weight` is [vocabulary_size, features]."""
    if weight.shape != (vocabulary_size, features):
        raise ValueError(
            f"an output layer of {vocabulary_size} words and {features} features cannot share a weight of "
            f"shape {tuple(weight.shape)}"
        )


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32, and leave other dtypes unchanged."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
