"""The windows that fairseq-eval-lm scores, with a count that must come out."""

import logging

from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)


class ScoredWindows:
    """Iterates over `iterator`, counts the targets, and refuses a count other than `expected`.

    fairseq prints a perplexity whatever the number of tokens that went into it, 1.00 for none at all.
    The check comes after the last window and before the perplexity is printed.
    """

    def __init__(self, iterator, expected, subset):
        self.iterator, self.expected, self.subset = iterator, expected, subset

    def __len__(self):
        return len(self.iterator)

    def __iter__(self):
        scored = 0
        for sample in self.iterator:
            scored += sample["ntokens"]
            yield sample
        if scored != self.expected:
            raise Refused(
                f"only {scored:,} of the {self.expected:,} targets of '{self.subset}' were scored: "
                "no perplexity is printed for a part of a corpus"
            )
        logger.info(f"scored {scored:,} of {self.expected:,} targets of '{self.subset}'")
