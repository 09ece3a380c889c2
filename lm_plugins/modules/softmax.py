"""The plain softmax over the vocabulary."""

import torch
from torch import nn
from torch.nn import functional as F

from lm_plugins.modules.output_layer import OutputLayer, VocabularyMatrix

NORMALISERS = ("fixed", "estimated", "learned")


class Softmax(OutputLayer):
    """p = softmax(W h + b), see :class:`VocabularyMatrix` for W and b.

    Args:
        normaliser: what noise contrastive estimation takes for ln of the sum of the exponentials of
            the logits (ln Z): "fixed": 0, "learned": a parameter, "estimated": a buffer, which the
            criterion fills. Log-probabilities do not depend on it.
    """

    def __init__(self, features, vocabulary, *, normaliser="fixed", padding_idx=None, **matrix):
        super().__init__(padding_idx)
        if normaliser not in NORMALISERS:
            raise ValueError(f"unknown normaliser '{normaliser}': choose from {NORMALISERS}")
        self.vocabulary = VocabularyMatrix(features, vocabulary, **matrix)
        self.normaliser, zero = normaliser, torch.zeros(())
        if normaliser == "learned":
            self.log_z = nn.Parameter(zero)
        elif normaliser == "estimated":
            self.register_buffer("log_z", zero)
            self.register_buffer("estimates", torch.zeros((), dtype=torch.long))  # in log_z so far
        else:
            self.log_z = 0.0

    def log_prob(self, features):
        return F.log_softmax(self.vocabulary(features), dim=-1)

    def nll(self, features, target):
        nll = self.vocabulary.nll(features.flatten(0, -2), target.flatten(), ignore_index=self.padding_idx)
        return nll.view_as(target)

    def scores(self, features, index):
        return self.vocabulary.scores(features, index)
