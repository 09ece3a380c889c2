"""Linear interpolation of language models: p(w) = sum_i weight_i p_i(w), over the same dictionary.

The models other than the first score the text in passes of their own, which store ln p of each target. The
first model is then mixed with them window by window, so that only one model runs at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lm_plugins.evaluation.scorers import Head, Scorer
from lm_plugins.evaluation.tally import TalliedScorer, Tally


class Component(NamedTuple):
    """The log-probabilities that a model gives the targets of a text.

    Args:
        model: path and SHA-256 of its file, taken before the file is read
        log_probs: for each window, ln p of its n counted targets in nats, [n], on the CPU
        tally: of all windows
    """

    model: dict[str, str]
    log_probs: list[Tensor]
    tally: Tally


class Mixture(NamedTuple):
    """The models to interpolate with the first one.

    Args:
        first: path and SHA-256 of the first model
        others: K - 1 models
        weights: of all K models, with the sum 1; None: they are to be tuned
        file: where tuned weights are written
    """

    first: dict[str, str]
    others: list[Component]
    weights: tuple[float, ...] | None
    file: str | None

    def scorer(self, inner: Scorer, unk: int) -> "RecordingScorer | MixtureScorer":
        """Return the scorer around that of the first model, `inner`: it mixes, or records for tuning."""
        if self.weights is None:
            return RecordingScorer(inner)
        return MixtureScorer(inner, self.others, self.weights, unk)


def interpolate(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Return ln sum_i weight_i p_i in nats, float64 [N], by logsumexp.

    Args:
        log_probs: ln p_i of the K models, [K, N]
        weights: weights with the sum 1, [K]
    """
    log_weights = weights.to(log_probs.device, torch.float64).log()
    return (log_probs.double() + log_weights.unsqueeze(1)).logsumexp(0)


class RecordingScorer:
    """Returns what `inner` returns, and stores ln p of the targets of each window in `log_probs`."""

    def __init__(self, inner: Scorer) -> None:
        self.inner, self.needs_graph = inner, inner.needs_graph
        self.log_probs: list[Tensor] = []

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted)
        self.log_probs.append(-nll[counted].detach().cpu())
        return nll


class MixtureScorer:
    """Interpolates `inner`, the first model, with the stored ln p of others.

    Only targets that count are mixed. The windows must come in the order in which they were stored.

    Args:
        inner: scores the same windows; dynamic evaluation and a cache belong to it
        others: K - 1 models
        weights: K weights, the first for `inner`
        unk: id of ``<unk>``
    """

    def __init__(
        self, inner: Scorer, others: Sequence[Component], weights: Sequence[float], unk: int
    ) -> None:
        self.tally = Tally()  # of the first model alone
        self.inner, self.needs_graph = TalliedScorer(inner, self.tally, unk), inner.needs_graph
        self.windows = zip(*(other.log_probs for other in others), strict=True)
        self.weights = torch.tensor(weights, dtype=torch.float64)

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted).double()
        others = [log_prob.to(nll) for log_prob in next(self.windows)]
        mixed = interpolate(torch.stack([-nll[counted], *others]), self.weights)
        return nll.masked_scatter(counted, -mixed)
