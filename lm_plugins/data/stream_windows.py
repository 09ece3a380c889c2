"""A token stream laid out as parallel streams and read window by window."""

import functools
import zlib

import numpy as np
import torch
from fairseq.data import FairseqDataset

FINGERPRINTED = 1 << 20  # tokens at either end of the corpus that its checksum covers
LET_GO = 100  # windows until what was read of a corpus on disk is let go, which takes 0.1 ms


def own_targets(target, pad, begin=None):
    """True where `target` [B, T] counts: no pad, and in row b not before position ``begin[b]``."""
    own = target.ne(pad)
    if begin is not None:
        own &= torch.arange(target.size(1)) >= begin.unsqueeze(1)
    return own


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
        if window.step % LET_GO == 0:
            self.corpus.let_go()
        streams = self.streams(window.epoch).rows(slice(self.rows.start, self.rows.stop))
        steps = np.arange(window.start, window.start + window.length)
        source, target = streams.windows(steps, self.pad, self.eos)
        return {"window": window, "source": torch.from_numpy(source), "target": torch.from_numpy(target)}

    def collater(self, items):
        (item,) = items
        source, target = item["source"], item["target"]
        begin = self.start_indices(item["window"])
        return {
            **({} if begin is None else {"start_indices": begin}),
            "id": torch.arange(self.rows.start, self.rows.stop),
            "nsentences": len(self.rows),
            "ntokens": int(own_targets(target, self.pad, begin).sum()),
            "net_input": {
                "src_tokens": source,
                "target": target,
                "stream": self.corpus.split,
                "step": item["window"].step,
            },
            "target": target,
        }

    def start_indices(self, window):
        """Of each row the first target of its own, [B], as fairseq's scorer takes it; None: all are."""
        warm_up = self.streams(window.epoch).warm_up
        if not warm_up:
            return None
        first = torch.tensor([0 if row == 0 else warm_up for row in self.rows])
        return (first - window.start).clamp(0, window.length)

    def fingerprint(self):
        """What must be the same when a run goes on in the middle of an epoch."""
        ends = (self.corpus[:FINGERPRINTED], self.corpus[-FINGERPRINTED:])
        return {
            "corpus": zlib.crc32(b"".join(np.asarray(e, dtype=np.int64).tobytes() for e in ends)),
            "tokens": len(self.corpus),
            "streams of all ranks": len(self.streams(1).first),
            "streams of a rank": len(self.rows),
        }
