"""Embedding whose dropout drops whole words (Gal and Ghahramani 2015, arXiv:1512.05287)."""

import torch
from torch import nn

from lm_plugins.modules.dropout_mask import check_probability


class Embedding(nn.Embedding):
    """Row w of the table times m_w, m ~ Bernoulli(1 - p) / (1 - p) over the V words.

    A word is dropped at all its places in the batch, and on all ranks. Only the rows looked up are
    scaled: the table is never copied, and the output layer tied to it sees it whole, as in
    awd-lstm-lm.

    Args:
        vocabulary: V
        width: C
        init_range: the table starts uniform in +- this
        dropout: p
        sparse: gradients hold the rows looked up alone
        split: a :class:`SplitVocabulary`, if this process has a part of the rows
    """

    def __init__(self, vocabulary, width, init_range, dropout=0.0, sparse=False, split=None):
        self.split = split
        if split is None:
            super().__init__(vocabulary, width, sparse=sparse)
            nn.init.uniform_(self.weight, -init_range, init_range)
        else:
            rows = split.uniform(width, init_range)
            super().__init__(*rows.shape, sparse=sparse, _weight=rows)
            split.share(self, "weight")
        self.vocabulary, self.dropout = vocabulary, check_probability(dropout, "embedding dropout")

    def forward(self, words):
        """[...] ids to [..., C] rows."""
        if self.split is None:
            rows = super().forward(words)
        else:
            rows = self.split.rows(self.weight, words, self.sparse)
        if not self.training or self.dropout == 0:
            return rows
        keep = torch.empty(self.vocabulary, dtype=rows.dtype, device=rows.device)
        keep.bernoulli_(1 - self.dropout).div_(1 - self.dropout)
        return rows * keep[words].unsqueeze(-1)
