"""Embedding whose dropout drops whole words (Gal and Ghahramani 2015, arXiv:1512.05287)."""

import torch
from torch import nn

from lm_plugins.modules.dropout_mask import check_probability


class Embedding(nn.Embedding):
    """Row w of the table times m_w, m ~ Bernoulli(1 - p) / (1 - p) over the V words.

    A word is dropped at all its places in the batch, and on all ranks. Only the rows looked up are
    scaled: the table is never copied, and the output layer tied to it sees it whole, as in
    awd-lstm-lm.
    """

    def __init__(self, num_embeddings, embedding_dim, dropout=0.0, sparse=False):
        super().__init__(num_embeddings, embedding_dim, sparse=sparse)
        self.dropout = check_probability(dropout, "embedding dropout")

    def forward(self, words):
        """[...] ids to [..., C] rows."""
        rows = super().forward(words)
        if not self.training or self.dropout == 0:
            return rows
        keep = torch.empty(self.num_embeddings, dtype=rows.dtype, device=rows.device)
        keep.bernoulli_(1 - self.dropout).div_(1 - self.dropout)
        return rows * keep[words].unsqueeze(-1)
