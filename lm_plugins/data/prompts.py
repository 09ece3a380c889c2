"""Beginnings of text that a model is to continue: what fairseq-generate and fairseq-interactive read."""

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils


class Prompts(FairseqDataset):
    """Each of `lines`, a list of [T] token ids without ``</s>``, is continued.

    As everywhere the source begins with ``</s>``; the target, which nothing is known of, ends in a pad.
    """

    def __init__(self, lines, pad, eos):
        self.lines, self.pad, self.eos = [torch.as_tensor(line).long() for line in lines], pad, eos
        self.sizes = np.array([len(line) + 1 for line in self.lines])

    @classmethod
    def of_corpus(cls, corpus, pad, eos):
        """The lines of a TokenStream."""
        ends = np.cumsum(corpus.line_sizes)
        parts = zip(ends - corpus.line_sizes, ends - 1, strict=True)
        return cls([corpus[first:last].astype(np.int64) for first, last in parts], pad, eos)

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        return index, self.lines[index]

    def num_tokens(self, index):
        return self.sizes[index]

    size = num_tokens

    def collater(self, items):
        numbers, lines = zip(*items, strict=True)
        eos, pad = torch.tensor([self.eos]), torch.tensor([self.pad])
        return {
            "id": torch.tensor(numbers),
            "nsentences": len(lines),
            "ntokens": sum(len(line) + 1 for line in lines),
            "net_input": {
                "src_tokens": data_utils.collate_tokens([torch.cat([eos, x]) for x in lines], self.pad),
                "src_lengths": torch.tensor([len(x) + 1 for x in lines]),
            },
            "target": data_utils.collate_tokens([torch.cat([x, pad]) for x in lines], self.pad),
        }
