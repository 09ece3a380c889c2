"""The distributions that noise words are drawn from."""

import math

import torch

from lm_plugins.ops.alias_table import alias_draw, alias_table

FLOOR = 1.0  # the count that a word without any gets: noise must reach every word


class Unigram:
    """q(w) proportional to count(w)^power, over V words; sampled with an alias table.

    Args:
        counts: [V] occurrences; none is taken for less than FLOOR
        power: 1 as in Mnih and Teh (2012, arXiv:1206.6426), 0.75 as in word2vec, 0 for uniform
    """

    def __init__(self, counts, power=1.0):
        weights = counts.double().clamp(min=FLOOR) ** power
        self.log_q = (weights / weights.sum()).log().float()
        self.table = alias_table(weights)

    def draw(self, shape):
        return alias_draw(*self.table, shape)

    def log_prob(self, words):
        return self.log_q[words]

    def to(self, device):
        self.log_q, self.table = self.log_q.to(device), tuple(part.to(device) for part in self.table)
        return self


class LogUniform:
    """q(w) = ln((w + 2) / (w + 1)) / ln(V + 1), for words numbered by falling frequency from 0."""

    def __init__(self, vocabulary):
        self.vocabulary, self.device = vocabulary, "cpu"

    def draw(self, shape):
        u = torch.rand(shape, device=self.device, dtype=torch.float64)
        return ((u * math.log(self.vocabulary + 1)).exp() - 1).long().clamp(max=self.vocabulary - 1)

    def log_prob(self, words):
        return (torch.log1p(1 / (words + 1)) / math.log(self.vocabulary + 1)).log()

    def to(self, device):
        self.device = device
        return self
