"""A data folder's dictionary, and what it tells of the corpus."""

import filecmp
import hashlib
import os
from itertools import pairwise

import torch
from fairseq import utils
from fairseq.data import Dictionary

from lm_plugins.errors import Refused


def load_dictionary(data):
    """The dict.txt of the data-bin folder `data`, or of several, separated by colons.

    Raises:
        Refused: there is no such folder or dictionary, or the folders have different ones.
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


def digest(dictionary):
    """SHA-256 of the symbols in order, as int64 [8]: two dictionaries that differ never agree."""
    text = "\n".join(dictionary.symbols).encode()
    raw = hashlib.sha256(text).digest()
    return torch.tensor([int.from_bytes(raw[i : i + 4], "big") for i in range(0, 32, 4)])


def is_character_level(dictionary):
    """True if a symbol is one character, or one byte as its decimal code: bits per token are bpc."""
    words = dictionary.symbols[dictionary.nspecial :]
    words = [word for word in words if not word.startswith("madeupword")]
    return bool(words) and (
        all(len(word) == 1 for word in words) or all(word.isdecimal() and int(word) < 256 for word in words)
    )


def sorted_by_count(dictionary):
    """True if the words behind the special symbols are in the order of falling frequency."""
    counts = dictionary.count[dictionary.nspecial :]
    return all(more >= fewer for more, fewer in pairwise(counts))
