"""The windows of a text, in the order in which evaluation reads them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lm_plugins.data.stream_windows import StreamWindows, own_targets
from lm_plugins.data.windows import cut, fixed


class EvaluationWindows:
    """Windows of `size` tokens of each stream; each iteration reads them from the beginning.

    A window is a batch as fairseq's scorer takes it. Its "net_input" also has "counted" [B, T], which is True
    where a target counts: not at a pad, and not in the warm-up of a stream.

    Args:
        streams: the text
        size: T, except in the last window
        unk: id of ``<unk>``
    """

    def __init__(self, streams: StreamWindows, size: int, unk: int) -> None:
        self.streams, self.windows, self.unk = streams, cut(len(streams), fixed(size)), unk
        self.subset, self.targets = streams.corpus.split, len(streams.corpus)

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for window in self.windows:
            batch = self.streams.collater([self.streams[window]])
            counted = own_targets(batch["target"], self.streams.pad, batch.get("start_indices"))
            batch["net_input"]["counted"] = counted
            yield batch

    def positions(self) -> Iterator[Tensor]:
        """Yield the positions of the targets of each window in the text, [T, B]; -1 at a pad."""
        own = slice(self.streams.own.start, self.streams.own.stop)
        streams = self.streams.streams(1).select(own)._replace(tokens=np.arange(self.targets))
        for window in self.windows:
            steps = np.arange(window.start, window.start + window.length)
            yield torch.from_numpy(streams.windows(steps, -1, -1)[1]).t()
