"""A text as independent windows in a random order, each of which starts from a zero recurrent state."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lm_plugins.data.token_stream import TokenStream
from lm_plugins.data.windows import fixed, random_start

# Distinguishes the draw of the order from other draws with the same seed and epoch.
ORDER = 2


class IndependentWindows(NamedTuple):
    """Row b of batch s is the window of positions ``begin[s, b] .. end[s, b] - 1`` of `tokens`.

    A window has at most `size` positions. Rows without a window, at the end of an epoch, have none.
    """

    tokens: TokenStream
    begin: np.ndarray  # [S, B]
    end: np.ndarray  # [S, B]
    size: int
    warm_up: int = 0

    @property
    def length(self) -> int:
        """The number of time steps of all batches."""
        return len(self.begin) * self.size

    @property
    def number(self) -> int:
        """The number of rows, B."""
        return self.begin.shape[1]

    def select(self, rows: slice) -> "IndependentWindows":
        """Return a part of the rows."""
        return self._replace(begin=self.begin[:, rows], end=self.end[:, rows])

    def windows(
        self,
        steps: np.ndarray,  # [T]
        pad: int,
        eos: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of the sources and of the targets at the time steps `steps`, [B, T] each.

        The source of a target is the token before it in `tokens`. ``</s>`` precedes the first token of all.
        """
        batch, offset = steps // self.size, steps % self.size
        target = self.begin[batch].T + offset
        inside = target < self.end[batch].T
        targets = np.where(inside, self.tokens[np.where(inside, target, 0)], pad)
        sources = np.where(inside, self.tokens[np.where(inside, np.maximum(target - 1, 0), 0)], pad)
        sources[inside & (target == 0)] = eos
        return sources.astype(np.int64), targets.astype(np.int64)


def shuffled_windows(
    corpus: TokenStream, count: int, size: int, seed: int, move_start: bool = False
) -> Callable[[int], IndependentWindows]:
    """Cut a text into windows of `size` tokens, and deal them to `count` rows in a new order in each epoch.

    Every token is a target exactly once in an epoch. The order depends only on `seed` and the epoch.

    Source: the data layer of OpenSeq2Seq's language model. Departures: it shuffles within a buffer (of
    25,000 windows for WikiText-103), and skips the tokens before the random start and after the last whole
    window; here they are shorter windows.

    Args:
        move_start: draw the length of the first window from 1 to `size` in each epoch
    """

    def of_epoch(epoch: int) -> IndependentWindows:
        first = next(random_start(size, seed, epoch) if move_start else fixed(size))
        begin = np.concatenate([[0], np.arange(first, len(corpus), size)])
        end = np.append(begin[1:], len(corpus))
        order = np.random.default_rng((seed, epoch, ORDER)).permutation(len(begin))
        grid = np.zeros((2, -(-len(order) // count) * count), dtype=np.int64)
        grid[:, : len(order)] = begin[order], end[order]
        return IndependentWindows(corpus, *grid.reshape(2, -1, count), size)

    return of_epoch
