"""The softmax over the whole vocabulary."""

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from lm_plugins.modules.head import Head
from lm_plugins.modules.vocabulary_matrix import VocabularyMatrix
from lm_plugins.ranks import rank_and_world

NORMALISERS = ("fixed", "estimated", "learned")


class Softmax(Head):
    """p = softmax(W h + b), see :class:`VocabularyMatrix` for W and b.

    Args:
        features: C
        vocabulary_size: V
        normaliser: ln Z, which noise contrastive estimation uses in place of the logarithm of the sum of the
            exponentials of all logits; "fixed": 0; "learned": a parameter; "estimated": a buffer, see
            :meth:`estimate_log_z`. Probabilities do not depend on it.
        padding_idx: targets that are not scored
        matrix: further arguments of :class:`VocabularyMatrix`

    Raises:
        ValueError: there is no such normaliser, or an argument of the matrix is out of range.
    """

    def __init__(
        self,
        features: int,
        vocabulary_size: int,
        *,
        normaliser: str = "fixed",
        padding_idx: int | None = None,
        **matrix,
    ):
        super().__init__(padding_idx)
        if normaliser not in NORMALISERS:
            raise ValueError(f"unknown normaliser '{normaliser}': choose from {NORMALISERS}")
        self.vocabulary = VocabularyMatrix(features, vocabulary_size, **matrix)
        self.normaliser, zero = normaliser, torch.zeros(())
        if normaliser == "learned":
            self.log_z = nn.Parameter(zero)
        elif normaliser == "estimated":
            self.register_buffer("log_z", zero)
            # 0 before log_z is estimated
            self.register_buffer("estimates", torch.zeros((), dtype=torch.long))
            self.is_estimated = False  # kept on the host, so that it need not wait for the device
        else:
            self.log_z = 0.0

    def log_prob(self, features: Tensor) -> Tensor:
        return F.log_softmax(self.vocabulary(features), dim=-1)

    def nll(self, features: Tensor, target: Tensor) -> Tensor:
        nll = self.vocabulary.nll(features.flatten(0, -2), target.flatten(), ignore_index=self.padding_idx)
        return nll.view_as(target)

    def scores(self, features: Tensor, index: Tensor) -> Tensor:
        """Return the logits of the words `index`, see :meth:`VocabularyMatrix.scores`."""
        return self.vocabulary.scores(features, index)

    @torch.no_grad()
    def estimate_log_z(self, scores: Tensor, log_q: Tensor) -> None:
        """Update an estimated normaliser from the scores of noise words; leave any other normaliser alone.

        Z is the expectation of exp(s) / q under the noise distribution q. It is estimated by the mean over
        the noise words of the first call and of all processes, which call this together, and stays constant
        from then on, as in Torch's NCEModule. A mean that included later updates would follow the growth of
        the scores; with such a mean, training at the published learning rates diverged.

        Args:
            scores: s [..., K]
            log_q: ln q [..., K]
        """
        if self.normaliser != "estimated" or self.is_estimated:
            return
        self.is_estimated = True
        if self.estimates:  # estimated before the checkpoint was saved; this waits for the device
            return
        log_ratio = scores - log_q
        log_z = torch.logsumexp(log_ratio.flatten(), 0) - math.log(log_ratio.numel())
        world = rank_and_world()[1]
        if world > 1:
            estimates = [torch.empty_like(log_z) for _ in range(world)]
            dist.all_gather(estimates, log_z)
            log_z = torch.logsumexp(torch.stack(estimates), 0) - math.log(world)
        self.log_z.copy_(log_z)
        self.estimates.fill_(1)
