"""An embedding whose dropout drops whole words (Gal and Ghahramani 2015, arXiv:1512.05287)."""

import torch
from torch import Tensor, nn

from lm_plugins.modules.dropout_mask import check_probability
from lm_plugins.modules.split_vocabulary import SplitVocabulary


class Embedding(nn.Embedding):
    """Row w of the table times m_w, m ~ Bernoulli(1 - p) / (1 - p) over the V words.

    A dropped word is dropped wherever it occurs in the batch, on all processes. Only the rows that are looked
    up are scaled, as in awd-lstm-lm: the table is not copied, and a head that is tied to it uses all of it.

    Args:
        vocabulary_size: V
        width: C
        init_range: the table is initialised uniformly in +- this
        dropout: p
        sparse: the gradient is sparse
        split: a :class:`SplitVocabulary`, if each process has a shard of the rows

    Raises:
        ValueError: `dropout` is not in [0, 1).
    """

    def __init__(
        self,
        vocabulary_size: int,
        width: int,
        init_range: float,
        dropout: float = 0.0,
        sparse: bool = False,
        split: SplitVocabulary | None = None,
    ):
        self.split = split
        if split is None:
            super().__init__(vocabulary_size, width, sparse=sparse)
            nn.init.uniform_(self.weight, -init_range, init_range)
        else:
            rows = split.uniform(width, init_range)
            super().__init__(*rows.shape, sparse=sparse, _weight=rows)
            split.share(self, "weight")
        self.vocabulary_size, self.dropout = vocabulary_size, check_probability(dropout, "embedding dropout")

    def forward(self, words: Tensor) -> Tensor:
        """Return the rows of the ids `words`: [...] -> [..., C]."""
        if self.split is None:
            rows = super().forward(words)
        else:
            rows = self.split.rows(self.weight, words, self.sparse)
        if not self.training or self.dropout == 0:
            return rows
        mask = torch.empty(self.vocabulary_size, dtype=rows.dtype, device=rows.device)
        mask.bernoulli_(1 - self.dropout).div_(1 - self.dropout)
        return rows * mask[words].unsqueeze(-1)
