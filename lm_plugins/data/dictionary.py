"""The dictionary of a data folder, and properties of the corpus that follow from it."""

import filecmp
import hashlib
import os
from itertools import pairwise
from typing import Optional

import torch
from fairseq import utils
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.errors import Refused


def load_dictionary(data: Optional[str]) -> Dictionary:
    """Load the dict.txt of the data-bin folder `data`, or of several folders, separated by colons.

    Raises:
        Refused: a folder or its dictionary is missing, or the folders have different dictionaries.
    """
    if not data:
        raise Refused("no data folder was given: give one written by fairseq-preprocess --destdir")
    paths = [os.path.join(folder, "dict.txt") for folder in utils.split_paths(data)]
    for path in paths:
        if not os.path.isfile(path):
            raise Refused(
                f"{os.path.dirname(path)} has no dict.txt: give a folder written by fairseq-preprocess "
                "--only-source"
            )
        if not filecmp.cmp(paths[0], path, shallow=False):
            raise Refused(
                f"{path} differs from {paths[0]}: binarize all parts of a corpus with the same dictionary, "
                "using fairseq-preprocess --srcdict"
            )
    dictionary = Dictionary.load(paths[0])
    if len(dictionary) == dictionary.nspecial:
        raise Refused(f"{paths[0]} is empty: run fairseq-preprocess again on a text that is not empty")
    return dictionary


def digest(dictionary: Dictionary) -> Tensor:
    """Return the SHA-256 of the symbols in order, as int64 [8], which tells dictionaries apart."""
    text = "\n".join(dictionary.symbols).encode()
    raw = hashlib.sha256(text).digest()
    return torch.tensor([int.from_bytes(raw[i : i + 4], "big") for i in range(0, 32, 4)])


def sorted_by_count(dictionary: Dictionary) -> bool:
    """Return whether the words after the special symbols are sorted by decreasing frequency."""
    counts = dictionary.count[dictionary.nspecial :]
    return all(more >= fewer for more, fewer in pairwise(counts))
