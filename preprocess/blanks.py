"""Texts whose official files have a space at both ends of each line: Penn Treebank and WikiText.

Many copies lack these spaces, which are not tokens. With them, a copy is identical to the official file.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO


def padded(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield `lines` with one space at both ends; an empty line is one space."""
    for line in lines:
        text = line.strip()
        yield b" " + text + b" \n" if text else b" \n"


def padded_sha256(stream: BinaryIO) -> str:
    """Return the SHA-256 of the :func:`padded` lines of `stream`, in hexadecimal digits."""
    hashed = hashlib.sha256()
    for line in padded(stream):
        hashed.update(line)
    return hashed.hexdigest()
