"""A corpus split as fairseq-preprocess wrote it, seen as one flat array of token ids."""

import mmap
import os

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils
from fairseq.data.indexed_dataset import MMapIndexedDataset, data_file_path

from lm_plugins.errors import Refused

SCAN = 1 << 20  # tokens or lines looked at in one go


class TokenStream(FairseqDataset):
    """All tokens of one split in corpus order, each line closed by ``</s>``.

    Args:
        split: name of the split ("train", "valid", "test", ...)
        tokens: [N] integer array, usually a memory map: nothing is read before it is used
        line_sizes: tokens of each line, with its ``</s>``
        folder: where it was read
    """

    def __init__(self, split, tokens, line_sizes, folder=None):
        self.split, self.tokens, self.line_sizes, self.folder = split, tokens, line_sizes, folder

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return self.tokens[index]

    def let_go(self):
        """Of what was read of a memory map, which counts as resident until then; it can be read again."""
        let_go(self.tokens)

    def counts(self, vocabulary):
        """Occurrences of each of the ids below `vocabulary`, [V]."""
        total = torch.zeros(vocabulary, dtype=torch.long)
        for block in blocks(self.tokens):
            total += torch.from_numpy(np.bincount(block, minlength=vocabulary))
        return total


def blocks(array):
    """`array` in pieces of SCAN, so that nothing holds all of it."""
    for at in range(0, len(array), SCAN):
        yield array[at : at + SCAN]
        let_go(array)


def let_go(array):
    if isinstance(array.base, mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)


def load_token_stream(folder, split, dictionary, dataset_impl=None, combine=False):
    """Reads `split` of the data-bin `folder`; with `combine`, also split1, split2, ... behind it.

    Raises:
        Refused: the split is missing or empty, was made with another dictionary, or holds a literal
            special symbol, which would end a line or not be scored.
    """
    parts, sizes = [], []
    while combine or not parts:
        name = split + (str(len(parts)) if parts else "")
        path = os.path.join(folder, name)
        if os.path.exists(data_file_path(path)) and os.path.getsize(data_file_path(path)) == 0:
            raise Refused(f"{path} is empty: run fairseq-preprocess again on a text that is not empty")
        dataset = data_utils.load_indexed_dataset(path, dictionary, dataset_impl)
        if dataset is None:
            break
        parts.append(_flat(dataset, path))
        sizes.append(np.array(dataset.sizes))  # its own memory map goes with the dataset
        _check(parts[-1], sizes[-1], path, dictionary)
    if not parts:
        raise Refused(
            f"no data for the subset '{split}' in {folder}: give a folder written by "
            "fairseq-preprocess --destdir that contains this subset"
        )
    return TokenStream(split, _joined(parts), _joined(sizes), folder)


def _joined(parts):
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _flat(dataset, path):
    if isinstance(dataset, MMapIndexedDataset):  # its .bin file is the flat stream: no copy
        return np.memmap(data_file_path(path), mode="r", dtype=dataset._index.dtype)
    return np.concatenate([np.asarray(line) for line in dataset])


def _check(tokens, line_sizes, path, dictionary):
    unexpected = end = 0
    for sizes in blocks(line_sizes):
        ends = end + np.cumsum(sizes, dtype=np.int64)
        unexpected -= int(np.count_nonzero(tokens[ends - 1] == dictionary.eos()))
        end = ends[-1]
        let_go(tokens)
    for block in blocks(tokens):
        if int(block.max()) >= len(dictionary):
            raise Refused(
                f"{path} has token ids beyond the {len(dictionary)} symbols of its dict.txt: "
                "dictionary and data are from different corpora, run fairseq-preprocess again"
            )
        unexpected += int(np.count_nonzero(block == dictionary.eos()))
        for symbol in (dictionary.bos_index, dictionary.pad_index):
            if (block == symbol).any():
                raise _literal(dictionary[symbol], path)
    if unexpected:
        raise _literal(dictionary[dictionary.eos()], path)


def _literal(symbol, path):
    return Refused(
        f"{path} contains the literal symbol {symbol} in its text, which fairseq reserves for itself and "
        "would score wrongly: replace it in the text and run fairseq-preprocess again"
    )
