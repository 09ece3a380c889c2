"""The windows that fairseq-eval-lm scores, with a count that must come out."""

import logging

import torch

from lm_plugins.data.stream_windows import own_targets
from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)


class ScoredWindows:
    """Iterates over `windows`, has each scored by `score`, and refuses a count other than `expected`.

    fairseq prints a perplexity whatever the number of tokens that went into it, 1.00 for none at all.
    The check comes after the last window and before the perplexity is printed.

    Args:
        windows: batches; where they have "start_indices" [B], the positions before are not counted
        score: function of (output layer, features [T, B, C], target [T, B], counted [T, B]) -> -ln p, [T, B]
        expected: number of targets
        subset: its name
        pad: id of no target
        finish: called with the sum of -ln p, in nats, once all were counted
        learns: `score` needs features with a graph
    """

    def __init__(self, windows, score, expected, subset, pad, finish, learns=False):
        self.windows, self.score, self.expected, self.subset = windows, score, expected, subset
        self.pad, self.finish, self.learns = pad, finish, learns

    def __len__(self):
        return len(self.windows)

    def __iter__(self):
        self.nats, self.targets = 0.0, 0
        for sample in self.windows:
            counted = own_targets(sample["target"], self.pad, sample.get("start_indices"))
            sample["net_input"] |= {"loss": self.scoring(counted), "learns": self.learns}
            yield sample
        if self.targets != self.expected:
            raise Refused(
                f"only {self.targets:,} of the {self.expected:,} targets of '{self.subset}' were scored, "
                "and no perplexity is printed for part of a corpus: evaluate all of it"
            )
        logger.info(f"scored {self.targets:,} of {self.expected:,} targets of '{self.subset}'")
        self.finish(self.nats)

    def scoring(self, counted):
        def loss(output_layer, features, target):
            here = counted.t().to(target.device)
            nll = self.score(output_layer, features, target, here)
            self.nats += float(nll[here].sum(dtype=torch.float64))
            self.targets += int(here.sum())
            return nll

        return loss
