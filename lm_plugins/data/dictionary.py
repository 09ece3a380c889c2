"""The dictionary of a data folder, and properties of the corpus that follow from it."""

import filecmp
import hashlib
import os
import re
from itertools import pairwise
from typing import Optional

import torch
from fairseq import utils
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.data.dictionary_file import read_dictionary
from lm_plugins.errors import Refused

PADDING = re.compile(r"madeupword\d{4}")  # the names that fairseq-preprocess gives them


def load_dictionary(data: Optional[str]) -> Dictionary:
    """Load the dict.txt of the data folder `data`, or of several folders, separated by colons.

    Raises:
        Refused: a folder or its dictionary is missing or damaged, or the folders have different
            dictionaries.
    """
    if not data:
        raise Refused("no data folder was given: give one written by fairseq-preprocess --destdir")
    first, *others = [os.path.join(folder, "dict.txt") for folder in utils.split_paths(data)]
    for path in (first, *others):
        if not os.path.exists(path):
            raise Refused(_no_dictionary(os.path.dirname(path)))
    dictionary = read_dictionary(first)
    for path in others:
        if not filecmp.cmp(first, path, shallow=False):
            raise Refused(
                f"{path} differs from {first}: binarize all parts of a corpus with the same dictionary, "
                "using fairseq-preprocess --srcdict"
            )
    return dictionary


def _no_dictionary(folder: str) -> str:
    """Say that `folder` has no dict.txt, and what it has instead."""
    if not os.path.exists(folder):
        return f"{folder} does not exist: give a folder written by fairseq-preprocess --only-source"
    if not os.path.isdir(folder):
        return f"{folder} is a file: give the folder that fairseq-preprocess wrote"
    entries = sorted(os.listdir(folder))
    texts = [name for name in entries if name.endswith((".txt", ".tokens")) and not name.startswith("dict.")]
    if texts:
        return (
            f"{folder} has no dict.txt, but text that is not binarized ({', '.join(texts[:3])}): run "
            "preprocess.text --source, or fairseq-preprocess --only-source, and give its folder"
        )
    languages = [name for name in entries if name.startswith("dict.")]
    hint = f", without --source-lang, since {languages[0]} is that of a language" if languages else ""
    return f"{folder} has no dict.txt: give a folder written by fairseq-preprocess --only-source{hint}"


def digest(dictionary: Dictionary) -> Tensor:
    """Return the SHA-256 of the symbols in order, as int64 [8], which tells dictionaries apart."""
    text = "\n".join(dictionary.symbols).encode()
    raw = hashlib.sha256(text).digest()
    return torch.tensor([int.from_bytes(raw[i : i + 4], "big") for i in range(0, 32, 4)])


def padding_symbols(dictionary: Dictionary) -> list[int]:
    """Return the ids of the symbols that fairseq-preprocess adds up to a multiple of --padding-factor.

    No text has them.
    """
    pairs = enumerate(zip(dictionary.symbols, dictionary.count, strict=True))
    return [index for index, (symbol, count) in pairs if not count and PADDING.fullmatch(symbol)]


def sorted_by_count(dictionary: Dictionary) -> bool:
    """Return whether the words after the special symbols are sorted by decreasing frequency."""
    counts = dictionary.count[dictionary.nspecial :]
    return all(more >= fewer for more, fewer in pairwise(counts))
