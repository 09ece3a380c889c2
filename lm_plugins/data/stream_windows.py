"""A token stream laid out as parallel streams and read window by window."""

import functools
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import torch
from fairseq.data import FairseqDataset
from torch import Tensor

from lm_plugins.data.independent_windows import IndependentWindows
from lm_plugins.data.streams import Streams
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.data.windows import Window

RELEASE_EVERY = 100  # windows between two releases of the corpus's memory; a release takes 0.1 ms


def own_targets(target: Tensor, pad: int, begin: Optional[Tensor] = None) -> Tensor:
    """Return where `target` [B, T] is scored: not at pads, and in row b not before position ``begin[b]``."""
    own = target.ne(pad)
    if begin is not None:
        own &= torch.arange(target.size(1)) >= begin.unsqueeze(1)
    return own


class StreamWindows(FairseqDataset):
    """The windows of parallel streams, of which this rank reads its `own`.

    A shorter stream ends in pads. The source is the target shifted by one over the whole corpus, with
    ``</s>`` before its first token and before each stream of sentences. Every token is therefore a target
    exactly once, the first token of a stream included. An item is a whole batch, addressed by its
    :class:`~lm_plugins.data.windows.Window`, which carries the epoch.

    Args:
        corpus: N tokens
        streams: function from the epoch to its :class:`~lm_plugins.data.streams.Streams`, or to
            :class:`~lm_plugins.data.independent_windows.IndependentWindows`
        own: range of the streams that this rank reads (B of them)
        pad: id of the padding symbol
        eos: id of ``</s>``
        independent: every window is the first one of a stream, so that its state starts from zeros
    """

    def __init__(
        self,
        corpus: TokenStream,
        streams: Callable[[int], Streams | IndependentWindows],
        own: range,
        pad: int,
        eos: int,
        independent: bool = False,
    ) -> None:
        self.corpus, self.own, self.pad, self.eos = corpus, own, pad, eos
        self.independent = independent
        self.streams = functools.lru_cache(maxsize=1)(streams)

    def __len__(self) -> int:
        return self.streams(1).length

    def __getitem__(self, window: Window) -> dict[str, Any]:
        """Return the batch of `window`: source and target ids, [B, T] each."""
        if window.step % RELEASE_EVERY == 0:
            self.corpus.release()
        streams = self.streams(window.epoch).select(slice(self.own.start, self.own.stop))
        positions = np.arange(window.start, window.start + window.length)
        source, target = streams.windows(positions, self.pad, self.eos)
        return {"window": window, "source": torch.from_numpy(source), "target": torch.from_numpy(target)}

    def collater(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """Return fairseq's batch for the one item of `items`."""
        (item,) = items
        window, source, target = item["window"], item["source"], item["target"]
        begin = self.start_indices(window)
        ntokens = int(own_targets(target, self.pad, begin).sum())
        return {
            **({} if begin is None else {"start_indices": begin}),
            "id": torch.arange(self.own.start, self.own.stop),
            "nsentences": len(self.own),
            "ntokens": ntokens,
            "full": ntokens == target.numel(),  # every place has a target
            "net_input": {
                "src_tokens": source,
                "target": target,
                "host_target": target.numpy(),  # which fairseq does not move to a GPU
                "stream": self.corpus.split,
                "step": 0 if self.independent else window.step,
            },
            "target": target,
            "begins_epoch": window.start == 0,
            "ends_epoch": window.start + window.length == self.streams(window.epoch).length,
        }

    def start_indices(self, window: Window) -> Optional[Tensor]:
        """Return the first scored position of each row, [B], as fairseq's scorer takes it.

        None means that all positions are scored.
        """
        warm_up = self.streams(window.epoch).warm_up
        if not warm_up:
            return None
        first = torch.tensor([0 if stream == 0 else warm_up for stream in self.own])
        return (first - window.start).clamp(0, window.length)

    def fingerprint(self) -> dict[str, int]:
        """Return the facts of a :class:`~lm_plugins.data.layout.Layout` that this dataset determines."""
        return {
            **self.corpus.fingerprint(),
            "streams": self.streams(1).number,
            "own_streams": len(self.own),
        }
