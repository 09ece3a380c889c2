"""Sigsoftmax (Kanai et al. 2018, arXiv:1805.10829): an output layer without the softmax's rank bottleneck."""

from torch import Tensor, nn
from torch.nn import functional as F

from lm_plugins.models.heads import register_head
from lm_plugins.modules.head import Head
from lm_plugins.modules.vocabulary_matrix import VocabularyMatrix


class Sigsoftmax(Head):
    """p(v) = exp(s_v) / Z with s = z + ln sigmoid(z) and z = W h + b.

    Unlike the heads of lm_plugins, it holds the scores of all words: it is meant for small vocabularies.
    """

    def __init__(
        self,
        features: int,
        vocabulary_size: int,
        *,
        weight: nn.Parameter | None = None,
        padding_idx: int | None = None,
    ):
        super().__init__(padding_idx)
        self.vocabulary = VocabularyMatrix(features, vocabulary_size, weight)

    def scores(self, features: Tensor) -> Tensor:
        """Return s: [..., C] -> [..., V]."""
        z = self.vocabulary(features)
        return z + F.logsigmoid(z)

    def log_prob(self, features: Tensor) -> Tensor:
        return F.log_softmax(self.scores(features), dim=-1)

    def nll(self, features: Tensor, target: Tensor) -> Tensor:
        nll = -self.log_prob(features).gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return nll if self.padding_idx is None else nll.masked_fill(target == self.padding_idx, 0)


register_head("sigsoftmax", Sigsoftmax, criterion="self_normalised")
