"""A subset of a corpus, as fairseq-preprocess wrote it, viewed as one flat array of token ids."""

import logging
import os
import zlib
from typing import Any, Optional

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset, data_utils
from torch import Tensor

from lm_plugins.data.blocks import blocks, release
from lm_plugins.data.indexed_files import read_subset
from lm_plugins.data.token_checks import check_tokens
from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)

FINGERPRINTED = 1 << 20  # tokens at either end of the corpus that its checksum covers
OF_FAIRSEQ = ("raw", "fasta", "huffman")  # formats that only fairseq's classes read, line by line


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

    def fingerprint(self) -> dict[str, int]:
        """Return a checksum of the text and its number of tokens, which tell it from another text."""
        ends = (self[:FINGERPRINTED], self[-FINGERPRINTED:])
        checksum = zlib.crc32(b"".join(np.asarray(end, dtype=np.int64).tobytes() for end in ends))
        return {"corpus": checksum, "tokens": len(self)}

    def counts(self, vocabulary: int) -> Tensor:
        """Return the number of occurrences of each id below `vocabulary`, [V]."""
        total = torch.zeros(vocabulary, dtype=torch.long)
        for block in blocks(self.tokens):
            total += torch.from_numpy(np.bincount(block, minlength=vocabulary))
        return total


def load_token_stream(
    folder: str,
    split: str,
    dictionary: Dictionary,
    dataset_impl: Optional[str] = None,
    combine: bool = False,
) -> TokenStream:
    """Read the subset `split` of the data-bin `folder`, and check all of it.

    Args:
        combine: append the subsets split1, split2, ... to it

    Raises:
        Refused: the subset is missing, empty or damaged, was made with another dictionary, or contains a
            literal special symbol, which would end a line or not be scored.
    """
    texts, sizes = [], []
    while combine or not texts:
        path = os.path.join(folder, split + (str(len(texts)) if texts else ""))
        subset = _read(path, dictionary, dataset_impl)
        if subset is None:
            break
        text, lines = subset
        check_tokens(text, lines, path, dictionary)
        logger.info(f"loaded {len(lines):,} lines of {len(text):,} tokens from: {path}")
        texts.append(text)
        sizes.append(lines)
    if not texts:
        raise Refused(_no_subset(folder, split))
    return TokenStream(split, _joined(texts), _joined(sizes), folder)


def _read(
    path: str, dictionary: Dictionary, dataset_impl: Optional[str]
) -> Optional[tuple[np.ndarray, np.ndarray]]:
    """Return the tokens of the subset `path` and the sizes of its lines, or None if it is missing."""
    indexed = os.path.exists(f"{path}.bin") or os.path.exists(f"{path}.idx")
    if indexed and dataset_impl not in OF_FAIRSEQ:
        return read_subset(path, dataset_impl)
    if not indexed and dataset_impl is None and os.path.isfile(path):
        dataset_impl = "raw"
    if dataset_impl not in OF_FAIRSEQ:
        return None
    try:
        lines = data_utils.load_indexed_dataset(path, dictionary, dataset_impl)
        arrays = None if lines is None else [np.asarray(line) for line in lines]
    except Exception as error:  # its readers raise whatever a damaged file leads to
        raise Refused(f"{path} cannot be read with --dataset-impl {dataset_impl} ({error})") from error
    if arrays is None:
        if indexed:
            raise Refused(f"{path}.idx is not in the format {dataset_impl}: leave out --dataset-impl")
        return None
    if not arrays:
        raise Refused(f"{path} is empty: give a text that is not empty")
    return np.concatenate(arrays), np.array([len(line) for line in arrays])


def _no_subset(folder: str, split: str) -> str:
    """Say that `split` is missing, and what `folder` has instead."""
    entries = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    subsets = [name.removesuffix(".idx") for name in entries if name.endswith(".idx")]
    below = [name for name in entries if os.path.exists(os.path.join(folder, name, f"{split}.idx"))]
    if below:
        shown = ":".join(os.path.join(folder, name) for name in below[:2]) + (":..." if below[2:] else "")
        return f"{folder} has no subset '{split}', but its subfolders do: give {shown}"
    has = f"which has {', '.join(subsets)}" if subsets else "which has no binarized text"
    return (
        f"no data for the subset '{split}' in {folder}, {has}: give a folder written by fairseq-preprocess "
        "--destdir that contains this subset"
    )


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
