"""How a corpus is laid out as parallel streams, in each epoch."""

from typing import Any, NamedTuple

import numpy as np

from lm_plugins.errors import Refused


class Streams(NamedTuple):
    """Stream s has the positions ``bounds[s] .. bounds[s + 1] - 1`` of `tokens`."""

    tokens: Any  # indexed by an array of positions
    bounds: np.ndarray

    @property
    def length(self):
        return int(np.diff(self.bounds).max())


def contiguous(corpus, count):
    """A text: `count` stretches whose lengths differ by at most one, in every epoch the same."""
    if len(corpus) < count:
        raise Refused(
            f"the subset '{corpus.split}' has {len(corpus)} tokens, not even one for each of {count} "
            "streams: lower --batch-size (or --batch-size-valid)"
        )
    streams = Streams(corpus, np.arange(count + 1, dtype=np.int64) * len(corpus) // count)
    return lambda epoch: streams


def sentences(corpus, count, seed=None):
    """Independent sentences, packed one after the other as in Torch's MultiSequence.

    Every stream begins with a sentence; the lengths of streams differ by about one sentence.

    Args:
        corpus (TokenStream): its lines are the sentences
        count: number of streams
        seed: of the order, a new one in each epoch; None: the order of the corpus, always
    """
    ends = np.cumsum(corpus.line_sizes, dtype=np.int64)

    def streams(epoch):
        if seed is None:
            return Streams(corpus, between_sentences(ends))
        order = np.random.default_rng((seed, epoch)).permutation(len(ends))
        shuffled = ShuffledSentences(corpus, ends, order)
        return Streams(shuffled, between_sentences(shuffled.ends))

    def between_sentences(ends):
        shares = np.arange(1, count, dtype=np.int64) * ends[-1] // count
        bounds = np.concatenate([[0], ends[np.searchsorted(ends, shares)], ends[-1:]])
        if (np.diff(bounds) == 0).any():
            raise Refused(
                f"the subset '{corpus.split}' has {len(ends)} sentences, too few to begin each of {count} "
                "streams with one: lower --batch-size (or --batch-size-valid)"
            )
        return bounds

    return streams


class ShuffledSentences:
    """The tokens of `corpus` with its sentences in another order, looked up and never copied."""

    def __init__(self, corpus, ends, order):
        sizes = np.diff(ends, prepend=0)[order]
        self.corpus, self.ends = corpus, np.cumsum(sizes)
        self.shift = ends[order] - self.ends  # from a position here to one in the corpus

    def __getitem__(self, positions):
        return self.corpus[positions + self.shift[np.searchsorted(self.ends, positions, side="right")]]
