"""Mixture of softmaxes, MoS (Yang et al. 2018, arXiv:1711.03953)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lm_plugins.modules.head import Head
from lm_plugins.modules.locked_dropout import LockedDropout
from lm_plugins.modules.vocabulary_matrix import VocabularyMatrix, at_least_float32


class MixtureOfSoftmaxes(Head):
    """Several softmaxes with one vocabulary matrix, weighted by a softmax of the features.

        p = sum_k pi_k softmax(W h_k + b)       pi = softmax(A h)       h_k = tanh(D_k h + d_k)

    Everything is computed in log space. The code of the paper (mos) adds 1e-8 to p instead, which limits
    losses to 18.4 nats.

    Args:
        features: C
        vocabulary_size: V
        experts: K (mos: 10, its recipes: 15)
        width: E, the size of each h_k; that of the embedding, if W is tied to it
        latent_dropout: locked dropout on all h_k of a stream, one mask over K E (mos: dropoutl)
        padding_idx: targets that are not scored
        matrix: further arguments of :class:`VocabularyMatrix`

    Raises:
        ValueError: there is no expert, or an argument of the matrix or the dropout is out of range.
    """

    def __init__(
        self,
        features: int,
        vocabulary_size: int,
        *,
        experts: int = 15,
        width: int,
        latent_dropout: float = 0.0,
        padding_idx: int | None = None,
        **matrix,
    ):
        super().__init__(padding_idx)
        if experts < 1:
            raise ValueError(f"a mixture of softmaxes needs at least 1 expert, not {experts}")
        self.experts = experts
        self.prior = nn.Linear(features, experts, bias=False)
        self.latent = nn.Linear(features, experts * width)
        self.latent_dropout = LockedDropout(latent_dropout)
        self.vocabulary = VocabularyMatrix(width, vocabulary_size, **matrix)

    def components(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (h [..., K, E], ln pi [..., K]) of features [..., C]."""
        latent = self.latent_dropout(torch.tanh(self.latent(features)))
        log_prior = F.log_softmax(at_least_float32(self.prior(features)), dim=-1)
        return latent.unflatten(-1, (self.experts, -1)), log_prior

    def log_prob(self, features: Tensor) -> Tensor:
        latent, log_prior = self.components(features)
        mixture = None
        for h, weight in zip(latent.unbind(-2), log_prior.unbind(-1), strict=True):  # [..., V] at a time
            component = weight.unsqueeze(-1) + F.log_softmax(self.vocabulary(h), dim=-1)
            mixture = component if mixture is None else torch.logaddexp(mixture, component)
        return mixture

    def nll(self, features: Tensor, target: Tensor) -> Tensor:
        latent, log_prior = self.components(features)
        nll = self.vocabulary.nll(
            latent.flatten(0, -3),
            target.flatten(),
            log_prior=log_prior.flatten(0, -2),
            ignore_index=self.padding_idx,
        )
        return nll.view_as(target)
