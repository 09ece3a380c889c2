"""Write files whole or not at all, and tell them apart by their content.

lm_plugins/files.py is not imported, since that would import fairseq, which takes seconds (docs/design.md).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """Yield the path to write to, ``<path>.part``, which replaces `path` when the block ends without error.

    Its folder is made. After an error, or a kill, `path` is unchanged, and ``<path>.part`` stays until the
    next attempt overwrites it.
    """
    part = Path(f"{path}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    yield part
    part.replace(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path`, in hexadecimal digits."""
    with open(path, "rb") as file:
        return sha256_of(file)


def sha256_of(stream: BinaryIO) -> str:
    """Return the SHA-256 of the rest of `stream`."""
    return hashlib.file_digest(stream, "sha256").hexdigest()
