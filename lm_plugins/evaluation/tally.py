"""Count the targets that were scored, and sum their negative log-likelihoods."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lm_plugins import metrics
from lm_plugins.errors import Refused
from lm_plugins.evaluation.scorers import Head, Scorer


@dataclass
class Tally:
    """The number of targets, and the sum of -ln p over them in nats, in float64."""

    targets: int = 0
    nats: float = 0.0

    def add(self, nll: Tensor, counted: Tensor) -> None:
        """Add -ln p of the targets of a window, [T, B], where `counted` [T, B] is True."""
        self.nats += float(nll[counted].sum(dtype=torch.float64))
        self.targets += int(counted.sum())

    def check(self, expected: int, subset: str) -> None:
        """Refuse a number of targets other than `expected`.

        fairseq prints a perplexity for any number of tokens, 1.00 for none at all.

        Raises:
            Refused: the numbers differ
        """
        if self.targets != expected:
            raise Refused(
                f"{self.targets:,} targets of '{subset}' were scored, which has {expected:,}, and no "
                "perplexity is printed for part of a corpus: evaluate all of it"
            )

    @property
    def perplexity(self) -> float:
        return metrics.perplexity(self.nats, self.targets)


class TalliedScorer:
    """Returns what `inner` returns, and adds it to a tally."""

    def __init__(self, inner: Scorer, tally: Tally) -> None:
        self.inner, self.tally = inner, tally
        self.needs_graph = inner.needs_graph

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted)
        self.tally.add(nll, counted)
        return nll
