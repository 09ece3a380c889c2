"""Beginnings of text that a model is to continue: what fairseq-generate and fairseq-interactive read."""

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils


class Prompts(FairseqDataset):
    """Each of `lines`, a list of [T] token ids without ``</s>``, is continued.

    The source begins with ``</s>``. The target is the line itself, for a scorer.

    Args:
        closed: the target ends in ``</s>``, as a line of a corpus does; else in a pad, which is not scored
    """

    def __init__(self, lines, pad, eos, closed=False):
        self.lines, self.pad, self.eos = [torch.as_tensor(line).long() for line in lines], pad, eos
        self.end = eos if closed else pad
        self.sizes = np.array([len(line) + 1 for line in self.lines])

    @classmethod
    def of_corpus(cls, corpus, pad, eos):
        """The lines of a TokenStream."""
        ends = np.cumsum(corpus.line_sizes)
        parts = zip(ends - corpus.line_sizes, ends - 1, strict=True)
        return cls([corpus[first:last].astype(np.int64) for first, last in parts], pad, eos, closed=True)

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        return index, self.lines[index]

    def num_tokens(self, index):
        return self.sizes[index]

    size = num_tokens

    def collater(self, items):
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
