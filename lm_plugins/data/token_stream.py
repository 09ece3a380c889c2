"""A subset of a corpus, as fairseq-preprocess wrote it, viewed as one flat array of token ids."""

import mmap
import os
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset, data_utils
from fairseq.data.indexed_dataset import MMapIndexedDataset, data_file_path
from torch import Tensor

from lm_plugins.errors import Refused

BLOCK = 1 << 20  # tokens or lines that are read at a time


class TokenStream(FairseqDataset):
    """All tokens of one subset in corpus order, each line closed by ``</s>``.

    Args:
        split: name of the subset ("train", "valid", "test", ...)
        tokens: [N] integer array, usually a memory map: nothing is read before it is used
        line_sizes: number of tokens of each line, including its ``</s>``
        folder: the data folder
    """

    def __init__(
        self, split: str, tokens: np.ndarray, line_sizes: np.ndarray, folder: Optional[str] = None
    ) -> None:
        self.split, self.tokens, self.line_sizes, self.folder = split, tokens, line_sizes, folder

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.tokens[index]

    def release(self) -> None:
        """Release the resident pages of the memory map (MADV_DONTNEED). They can be read again."""
        release(self.tokens)

    def counts(self, vocabulary: int) -> Tensor:
        """Return the number of occurrences of each id below `vocabulary`, [V]."""
        total = torch.zeros(vocabulary, dtype=torch.long)
        for block in blocks(self.tokens):
            total += torch.from_numpy(np.bincount(block, minlength=vocabulary))
        return total


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `array` in blocks, and release each one, so that the whole is never in memory."""
    for start in range(0, len(array), BLOCK):
        yield array[start : start + BLOCK]
        release(array)


def release(array: np.ndarray) -> None:
    """Release the resident pages of `array` if it is a memory map."""
    if isinstance(array.base, mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)


def load_token_stream(
    folder: str,
    split: str,
    dictionary: Dictionary,
    dataset_impl: Optional[str] = None,
    combine: bool = False,
) -> TokenStream:
    """Read the subset `split` of the data-bin `folder`.

    Args:
        combine: append the subsets split1, split2, ... to it

    Raises:
        Refused: the subset is missing or empty, was made with another dictionary, or contains a literal
            special symbol, which would end a line or not be scored.
    """
    texts, sizes = [], []
    while combine or not texts:
        path = os.path.join(folder, split + (str(len(texts)) if texts else ""))
        if os.path.exists(data_file_path(path)) and os.path.getsize(data_file_path(path)) == 0:
            raise Refused(f"{path} is empty: run fairseq-preprocess again on a text that is not empty")
        dataset = data_utils.load_indexed_dataset(path, dictionary, dataset_impl)
        if dataset is None:
            break
        texts.append(_flat(dataset, path))
        sizes.append(np.array(dataset.sizes))  # a copy: the dataset's memory map is closed with it
        total = int(sizes[-1].sum(dtype=np.int64))
        if total != len(texts[-1]):
            raise Refused(
                f"{path}.bin has {len(texts[-1]):,} tokens, but {path}.idx counts {total:,}: the two files "
                "do not belong together or one is cut short, run fairseq-preprocess again"
            )
        _check(texts[-1], sizes[-1], path, dictionary)
    if not texts:
        raise Refused(
            f"no data for the subset '{split}' in {folder}: give a folder written by "
            "fairseq-preprocess --destdir that contains this subset"
        )
    return TokenStream(split, _joined(texts), _joined(sizes), folder)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _flat(dataset: Any, path: str) -> np.ndarray:
    if isinstance(dataset, MMapIndexedDataset):  # its .bin file is the flat array: no copy
        return np.memmap(data_file_path(path), mode="r", dtype=dataset._index.dtype)
    return np.concatenate([np.asarray(line) for line in dataset])


def _check(tokens: np.ndarray, line_sizes: np.ndarray, path: str, dictionary: Dictionary) -> None:
    unexpected = end = 0  # </s> within lines
    for sizes in blocks(line_sizes):
        ends = end + np.cumsum(sizes, dtype=np.int64)
        unexpected -= int(np.count_nonzero(tokens[ends - 1] == dictionary.eos()))
        end = ends[-1]
        release(tokens)
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


def _literal(symbol: str, path: str) -> Refused:
    return Refused(
        f"{path} contains the literal symbol {symbol} in its text, which fairseq reserves for itself and "
        "would score wrongly: replace it in the text and run fairseq-preprocess again"
    )
