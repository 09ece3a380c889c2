"""What a dictionary tells of its corpus."""

import hashlib
from itertools import pairwise

import torch


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
