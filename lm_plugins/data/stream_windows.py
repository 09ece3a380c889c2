"""A token stream laid out as parallel streams and read window by window."""

import functools
import zlib

import numpy as np
import torch
from fairseq.data import FairseqDataset

FINGERPRINTED = 1 << 20  # tokens at either end of the corpus that its checksum covers


class StreamWindows(FairseqDataset):
    """The windows of parallel streams, of which this rank reads its own `rows`.

    A shorter stream ends in pads. The source is the target shifted by one over the whole corpus, with
    ``</s>`` before its first token and before each stream of sentences: every token is a target exactly
    once, the first one of a stream too. An item is a whole batch, addressed by its
    :class:`~lm_plugins.data.windows.Window`, which names the epoch: workers know no other.

    Args:
        corpus (TokenStream): N tokens
        streams: function from the epoch to its :class:`~lm_plugins.data.streams.Streams`
        rows: range of the streams that this rank reads (B of them)
        pad, eos: ids
    """

    def __init__(self, corpus, streams, rows, pad, eos):
        self.corpus, self.rows, self.pad, self.eos = corpus, rows, pad, eos
        self.streams = functools.lru_cache(maxsize=1)(streams)

    def __len__(self):
        return self.streams(1).length

    def __getitem__(self, window):
        """The batch of `window`: source and target ids, [B, T] each."""
        tokens, bounds = self.streams(window.epoch)
        first, end = (
            bounds[self.rows.start : self.rows.stop],
            bounds[self.rows.start + 1 : self.rows.stop + 1],
        )
        position = first[:, None] + np.arange(window.start - 1, window.start + window.length)  # [B, T + 1]
        batch = tokens[np.clip(position, 0, len(self.corpus) - 1)].astype(np.int64)
        batch[position < 0] = self.eos
        batch[position >= end[:, None]] = self.pad
        return {"window": window, "tokens": torch.from_numpy(batch)}

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
            "streams of all ranks": len(self.streams(1).bounds) - 1,
            "streams of a rank": len(self.rows),
        }
