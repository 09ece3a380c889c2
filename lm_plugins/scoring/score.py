"""The score of a text: its tokens, ln p of each, and the totals computed from them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lm_plugins import metrics
from lm_plugins.evaluation.tally import Tally
from lm_plugins.scoring.state import TextState

UNKNOWN = "<unk>"  # fairseq's symbol


class Score(NamedTuple):
    """The tokens of a text, T symbols of the dictionary, and ln p of each in nats, [T].

    `state` is the state after the text, with which :meth:`~lm_plugins.hub.LanguageModel.score` continues it.
    The scores of a list of texts have none.
    """

    tokens: list[str]
    log_probs: Tensor
    state: TextState | None = None

    @property
    def log_prob(self) -> float:
        """Return ln p of the text in nats: the sum of `log_probs`, 0 for an empty text."""
        return float(self.log_probs.sum(dtype=torch.float64))

    @property
    def nll(self) -> float:
        """Return -ln p of the text, in nats."""
        return -self.log_prob

    @property
    def tally(self) -> Tally:
        """Return the number of tokens and their nats, in total and of ``<unk>``."""
        unknown = torch.tensor([token == UNKNOWN for token in self.tokens], dtype=torch.bool)
        tally = Tally()
        tally.add(-self.log_probs, torch.ones_like(unknown), unknown)
        return tally

    @property
    def perplexity(self) -> float:
        """Return exp(-ln p / T); NaN for an empty text."""
        return metrics.perplexity(self.nll, len(self.tokens)) if self.tokens else math.nan

    @property
    def unknown(self) -> int:
        """Return the number of symbols that the model does not know: ``<unk>``."""
        return self.tokens.count(UNKNOWN)

    @property
    def perplexity_without_unknown(self) -> float | None:
        """Return the perplexity of all other symbols; None if there are none."""
        return self.tally.perplexity_without_unknown
