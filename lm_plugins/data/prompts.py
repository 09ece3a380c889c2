"""Prompts, the beginnings of texts that fairseq-generate and fairseq-interactive have a model continue."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils
from torch import Tensor

from lm_plugins.data.token_stream import TokenStream


class Prompts(FairseqDataset):
    """Lines of text as prompts. The source begins with ``</s>``; the target is the line, for a scorer.

    Args:
        lines: [T] token ids each, without the ``</s>`` at the end
        pad: id of the padding symbol
        eos: id of ``</s>``
        closed: for each line, whether its target ends with ``</s>``, else with a pad, which is not scored;
            None: no target does
    """

    def __init__(
        self, lines: Iterable[Any], pad: int, eos: int, closed: Sequence[bool] | None = None
    ) -> None:
        self.lines, self.pad, self.eos = [torch.as_tensor(line).long() for line in lines], pad, eos
        self.closed = [False] * len(self.lines) if closed is None else closed
        self.sizes = np.array([len(line) + 1 for line in self.lines])

    @classmethod
    def of_corpus(cls, corpus: TokenStream, pad: int, eos: int) -> "Prompts":
        """Return the lines of `corpus` as prompts. Those of characters or bytes may have no ``</s>``."""
        ends = np.cumsum(corpus.line_sizes)
        lines = [corpus[end - size : end] for size, end in zip(corpus.line_sizes, ends, strict=True)]
        closed = [len(line) > 0 and bool(line[-1] == eos) for line in lines]
        prompts = [line[: len(line) - end].astype(np.int64) for line, end in zip(lines, closed, strict=True)]
        return cls(prompts, pad, eos, closed)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        return index, self.lines[index]

    def num_tokens(self, index: int) -> int:
        return self.sizes[index]

    size = num_tokens

    def collater(self, items: list[tuple[int, Tensor]]) -> dict[str, Any]:
        """Return fairseq's batch, padded on the right."""
        numbers, lines = zip(*items, strict=True)
        eos = torch.tensor([self.eos])
        ends = [torch.tensor([self.eos if self.closed[number] else self.pad]) for number in numbers]
        targets = [torch.cat(pair) for pair in zip(lines, ends, strict=True)]
        return {
            "id": torch.tensor(numbers),
            "nsentences": len(lines),
            "ntokens": sum(len(line) + 1 for line in lines),
            "net_input": {
                "src_tokens": data_utils.collate_tokens([torch.cat([eos, x]) for x in lines], self.pad),
                "src_lengths": torch.tensor([len(x) + 1 for x in lines]),
            },
            "target": data_utils.collate_tokens(targets, self.pad),
        }
