"""Prompts, the beginnings of texts that fairseq-generate and fairseq-interactive have a model continue."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils
from torch import Tensor

from lm_plugins.data.token_stream import TokenStream


class Prompts(FairseqDataset):
    """Lines of text as prompts. The source begins with ``</s>``; the target is the line, for a scorer.

    Args:
        lines: [T] token ids each, without ``</s>``
        pad: id of the padding symbol
        eos: id of ``</s>``
        closed: end the target with ``</s>``, like a line of a corpus; else with a pad, which is not scored
    """

    def __init__(self, lines: Iterable[Any], pad: int, eos: int, closed: bool = False) -> None:
        self.lines, self.pad, self.eos = [torch.as_tensor(line).long() for line in lines], pad, eos
        self.end = eos if closed else pad
        self.sizes = np.array([len(line) + 1 for line in self.lines])

    @classmethod
    def of_corpus(cls, corpus: TokenStream, pad: int, eos: int) -> "Prompts":
        """Return the lines of `corpus` as prompts."""
        ends = np.cumsum(corpus.line_sizes)
        bounds = zip(ends - corpus.line_sizes, ends - 1, strict=True)
        return cls([corpus[first:last].astype(np.int64) for first, last in bounds], pad, eos, closed=True)

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
        eos, end = torch.tensor([self.eos]), torch.tensor([self.end])
        return {
            "id": torch.tensor(numbers),
            "nsentences": len(lines),
            "ntokens": sum(len(line) + 1 for line in lines),
            "net_input": {
                "src_tokens": data_utils.collate_tokens([torch.cat([eos, x]) for x in lines], self.pad),
                "src_lengths": torch.tensor([len(x) + 1 for x in lines]),
            },
            "target": data_utils.collate_tokens([torch.cat([x, end]) for x in lines], self.pad),
        }
