"""The distributions that noise words are drawn from."""

import math
from typing import Self

import torch
from torch import Tensor

from lm_plugins.ops.alias_table import alias_draw, alias_table

FLOOR = 1.0  # the smallest count of a word, so that noise reaches every word


class Unigram:
    """q(w) proportional to count(w)^power, over V words; sampled with an alias table.

    Args:
        counts: [V] occurrences; smaller counts than FLOOR are replaced by it
        power: 1 as in Mnih and Teh (2012, arXiv:1206.6426), 0.75 as in word2vec, 0 for uniform
    """

    def __init__(self, counts: Tensor, power: float = 1.0):
        weights = counts.double().clamp(min=FLOOR) ** power
        self.log_q = (weights / weights.sum()).log().float()
        self.table = alias_table(weights)

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """Draw independent words [*shape]."""
        return alias_draw(*self.table, shape)

    def log_prob(self, words: Tensor) -> Tensor:
        """Return ln q of the ids `words`: [...] -> [...]."""
        return self.log_q[words]

    def to(self, device: torch.device) -> Self:
        """Move the tables to `device`."""
        self.log_q, self.table = self.log_q.to(device), tuple(tensor.to(device) for tensor in self.table)
        return self


class LogUniform:
    """q(w) = ln((w + 2) / (w + 1)) / ln(V + 1), for words sorted by decreasing frequency from 0.

    Args:
        vocabulary_size: V
    """

    def __init__(self, vocabulary_size: int):
        self.vocabulary_size, self.device = vocabulary_size, "cpu"

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """Draw independent words [*shape]."""
        u = torch.rand(shape, device=self.device, dtype=torch.float64)
        words = (u * math.log(self.vocabulary_size + 1)).exp() - 1
        return words.long().clamp(max=self.vocabulary_size - 1)

    def log_prob(self, words: Tensor) -> Tensor:
        """Return ln q of the ids `words`: [...] -> [...]."""
        return (torch.log1p(1 / (words + 1)) / math.log(self.vocabulary_size + 1)).log()

    def to(self, device: torch.device) -> Self:
        """Draw on `device`."""
        self.device = device
        return self
