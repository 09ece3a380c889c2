"""How a corpus is laid out as parallel streams, in each epoch."""

from typing import Any, NamedTuple

import numpy as np

from lm_plugins.errors import Refused

# Tells the random draws of an epoch apart, which have the seed and the epoch in common.
ROTATION = 1


class Streams(NamedTuple):
    """Stream s has the positions ``first[s] .. end[s] - 1`` of `tokens`.

    It begins at its position ``first[s] + offset[s]`` and continues at ``first[s]`` when it reaches its
    end. The first `warm_up` positions, but in the first stream, are another stream's targets.
    """

    tokens: Any  # indexed by an array of positions
    first: np.ndarray
    end: np.ndarray
    offset: np.ndarray | int = 0
    warm_up: int = 0

    @property
    def length(self):
        return int((self.end - self.first).max())

    def rows(self, rows: slice) -> "Streams":
        """Return the streams `rows` alone."""
        offset = np.broadcast_to(self.offset, self.first.shape)[rows]
        return self._replace(first=self.first[rows], end=self.end[rows], offset=offset)

    def windows(self, steps: np.ndarray, pad: int, eos: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of the sources and of the targets at `steps` [T] of each stream, [B, T] each.

        The source of a target is the token before it in `tokens`, also where a stream continues at its
        first position; ``</s>`` comes before the first token of all. A stream that has ended has pads.
        """
        first, size = self.first[:, None], (self.end - self.first)[:, None]

        def positions(steps):
            return first + (self.offset[:, None] + steps) % size

        target = positions(steps)
        source = np.where(steps < size, target - 1, positions(steps - 1))
        targets = np.where(steps < size, self.tokens[target], pad)
        sources = np.where(steps <= size, self.tokens[np.maximum(source, 0)], pad)
        sources[source < 0] = eos
        return sources.astype(np.int64), targets.astype(np.int64)


def contiguous(corpus, count):
    """A text: `count` stretches whose lengths differ by at most one, in every epoch the same."""
    if len(corpus) < count:
        raise Refused(
            f"the subset '{corpus.split}' has {len(corpus)} tokens, fewer than one for each of {count} "
            "streams: lower --batch-size (or --batch-size-valid)"
        )
    bounds = np.arange(count + 1, dtype=np.int64) * len(corpus) // count
    streams = Streams(corpus, bounds[:-1], bounds[1:])
    return lambda epoch: streams


def rotated(corpus, count: int, seed: int):
    """Return :func:`contiguous` streams, each of which begins at another position in each epoch.

    The positions are drawn uniformly from `seed` and the epoch, a stream for itself. So the parts of the
    text that are trained on together, and the order of the updates, change from epoch to epoch, and
    every token is still a target exactly once. Source: the partial shuffle of Press (2019,
    arXiv:1903.04167), PTB valid -0.4 to -0.5. Departure: where a stream continues at its first position,
    the source there is the token before it in the text, not the end of the stream.
    """
    streams = contiguous(corpus, count)(1)

    def of_epoch(epoch):
        draw = np.random.default_rng((seed, epoch, ROTATION))
        return streams._replace(offset=draw.integers(0, streams.end - streams.first))

    return of_epoch


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
            f"the subset '{corpus.split}' has {len(corpus):,} tokens, too few for {count} streams with "
            f"{warm_up:,} warm-up tokens each: lower --eval-streams"
        )
    streams = Streams(corpus, first, end, warm_up=warm_up)
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
                f"the subset '{corpus.split}' has {len(ends)} sentences, too few to start each of {count} "
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
