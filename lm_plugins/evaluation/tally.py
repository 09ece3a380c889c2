"""Count the targets that were scored, and sum their negative log-likelihoods."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lm_plugins import metrics
from lm_plugins.errors import Refused
from lm_plugins.evaluation.scorers import ABOVE_ONE, ROUNDING, Head, Scorer


@dataclass
class Tally:
    """The number of targets and the sum of -ln p over them in nats, in float64; both also of ``<unk>``."""

    targets: int = 0
    nats: float = 0.0
    unknown: int = 0
    unknown_nats: float = 0.0

    def add(self, nll: Tensor, counted: Tensor, unknown: Tensor) -> None:
        """Add -ln p of the targets of a window.

        Args:
            nll: -ln p of each target, [T, B]
            counted: True where a target counts, [T, B]
            unknown: True where a target is ``<unk>``, [T, B]
        """
        unknown = unknown & counted
        self.nats += float(nll[counted].sum(dtype=torch.float64))
        self.targets += int(counted.sum())
        self.unknown_nats += float(nll[unknown].sum(dtype=torch.float64))
        self.unknown += int(unknown.sum())

    def check(self, expected: int, subset: str) -> None:
        """Refuse a number of targets other than `expected`, and a perplexity below 1.

        fairseq prints a perplexity for any number of tokens, 1.00 for none at all.

        Raises:
            Refused: the numbers differ, or the mean probability is above 1
        """
        if self.targets != expected:
            raise Refused(
                f"{self.targets:,} targets of '{subset}' were scored instead of {expected:,}, and no "
                "perplexity is printed for part of a corpus: evaluate all of it"
            )
        if self.nats < -ROUNDING * self.targets:
            raise Refused(ABOVE_ONE)

    @property
    def perplexity(self) -> float:
        return metrics.perplexity(self.nats, self.targets)

    @property
    def perplexity_without_unknown(self) -> float | None:
        """The perplexity over all targets but ``<unk>``; None if there are none."""
        known = self.targets - self.unknown
        return metrics.perplexity(self.nats - self.unknown_nats, known) if known else None


class TalliedScorer:
    """Returns what `inner` returns, and adds it to a tally.

    Args:
        unk: id of ``<unk>``
    """

    def __init__(self, inner: Scorer, tally: Tally, unk: int) -> None:
        self.inner, self.tally, self.unk = inner, tally, unk
        self.needs_graph = inner.needs_graph

    def __call__(self, head: Head, features: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        nll = self.inner(head, features, target, counted)
        self.tally.add(nll, counted, target.eq(self.unk))
        return nll
