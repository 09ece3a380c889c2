"""A token stream laid out as parallel streams and read window by window."""

import zlib

import numpy as np
import torch
from fairseq.data import FairseqDataset

from lm_plugins.errors import Refused

FINGERPRINTED = 1 << 20  # tokens at either end of the corpus that its checksum covers


class StreamWindows(FairseqDataset):
    """The windows of `streams` parallel streams, of which this rank reads its own `rows`.

    The N tokens are cut into S contiguous streams whose lengths differ by at most one; a shorter one
    ends in one pad. The source is the target shifted by one over the whole corpus, with ``</s>``
    before its first token: every token is a target exactly once, the first one of a stream too.
    An item is a whole batch, addressed by its :class:`~lm_plugins.data.windows.Window`.

    Args:
        corpus (TokenStream): N tokens
        streams: S, the streams of all ranks together
        rows: range of the streams that this rank reads (B of them)
        pad, eos: ids
    """

    def __init__(self, corpus, streams, rows, pad, eos):
        if len(corpus) < streams:
            raise Refused(
                f"the subset '{corpus.split}' has {len(corpus)} tokens, not even one for each of "
                f"{streams} streams: lower --batch-size (or --batch-size-valid)"
            )
        self.corpus, self.streams, self.rows, self.pad, self.eos = corpus, streams, rows, pad, eos
        bounds = np.arange(streams + 1, dtype=np.int64) * len(corpus) // streams
        self.first, self.end = (
            bounds[rows.start : rows.stop],
            bounds[rows.start + 1 : rows.stop + 1],
        )
        self.stream_length = int(np.diff(bounds).max())

    def __len__(self):
        return self.stream_length

    def __getitem__(self, window):
        """The batch of `window`: source and target ids, [B, T] each."""
        _, start, length = window
        position = self.first[:, None] + np.arange(start - 1, start + length)  # [B, T + 1]
        tokens = self.corpus[np.clip(position, 0, len(self.corpus) - 1)].astype(np.int64)
        tokens[position < 0] = self.eos
        tokens[position >= self.end[:, None]] = self.pad
        return {"window": window, "tokens": torch.from_numpy(tokens)}

    def collater(self, items):
        (item,) = items
        source, target = item["tokens"][:, :-1], item["tokens"][:, 1:]
        return {
            "id": torch.arange(self.rows.start, self.rows.stop),
            "nsentences": len(self.rows),
            "ntokens": int(target.ne(self.pad).sum()),
            "net_input": {
                "src_tokens": source.contiguous(),
                "target": target.contiguous(),
                "stream": self.corpus.split,
                "step": item["window"].step,
            },
            "target": target.contiguous(),
        }

    def fingerprint(self):
        """What must be the same when a run goes on in the middle of an epoch."""
        ends = (self.corpus[:FINGERPRINTED], self.corpus[-FINGERPRINTED:])
        return {
            "corpus": zlib.crc32(b"".join(np.asarray(e, dtype=np.int64).tobytes() for e in ends)),
            "tokens": len(self.corpus),
            "streams of all ranks": self.streams,
            "streams of a rank": len(self.rows),
        }
