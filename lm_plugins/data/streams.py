"""How a corpus is laid out as parallel streams, in each epoch."""

from typing import Any, NamedTuple

import numpy as np

from lm_plugins.errors import Refused


class Streams(NamedTuple):
    """Stream s has the positions ``first[s] .. end[s] - 1`` of `tokens`.

    The first `warm_up` of them, but in the first stream, are another stream's targets.
    """

    tokens: Any  # indexed by an array of positions
    first: np.ndarray
    end: np.ndarray
    warm_up: int = 0

    @property
    def length(self):
        return int((self.end - self.first).max())


def contiguous(corpus, count):
    """A text: `count` stretches whose lengths differ by at most one, in every epoch the same."""
    if len(corpus) < count:
        raise Refused(
            f"the subset '{corpus.split}' has {len(corpus)} tokens, not even one for each of {count} "
            "streams: lower --batch-size (or --batch-size-valid)"
        )
    bounds = np.arange(count + 1, dtype=np.int64) * len(corpus) // count
    streams = Streams(corpus, bounds[:-1], bounds[1:])
    return lambda epoch: streams


def overlapping(corpus, count, warm_up):
    """A text in `count` stretches, each but the first with the `warm_up` tokens before it: for evaluation.

    Raises:
        Refused: some stretch would be shorter than what it reads first.
    """
    length = -(-(len(corpus) + (count - 1) * warm_up) // count)
    first = np.arange(count, dtype=np.int64) * (length - warm_up)
    end = np.minimum(first + length, len(corpus))
    if count > 1 and (first + warm_up >= end).any():
        raise Refused(
            f"the subset '{corpus.split}' has {len(corpus):,} tokens, too few for {count} streams that read "
            f"{warm_up:,} tokens first: lower --eval-streams"
        )
    streams = Streams(corpus, first, end, warm_up)
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
            return Streams(corpus, *between_sentences(ends))
        order = np.random.default_rng((seed, epoch)).permutation(len(ends))
        shuffled = ShuffledSentences(corpus, ends, order)
        return Streams(shuffled, *between_sentences(shuffled.ends))

    def between_sentences(ends):
        shares = np.arange(1, count, dtype=np.int64) * ends[-1] // count
        bounds = np.concatenate([[0], ends[np.searchsorted(ends, shares)], ends[-1:]])
        if (np.diff(bounds) == 0).any():
            raise Refused(
                f"the subset '{corpus.split}' has {len(ends)} sentences, too few to begin each of {count} "
                "streams with one: lower --batch-size (or --batch-size-valid)"
            )
        return bounds[:-1], bounds[1:]

    return streams


class ShuffledSentences:
    """The tokens of `corpus` with its sentences in another order, looked up and never copied."""

    def __init__(self, corpus, ends, order):
        sizes = np.diff(ends, prepend=0)[order]
        self.corpus, self.ends = corpus, np.cumsum(sizes)
        self.shift = ends[order] - self.ends  # from a position here to one in the corpus

    def __getitem__(self, positions):
        return self.corpus[positions + self.shift[np.searchsorted(self.ends, positions, side="right")]]
