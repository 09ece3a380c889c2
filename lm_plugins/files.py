"""Write files whole or not at all, and identify them by their content."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def atomically(path: str | os.PathLike) -> Iterator[str]:
    """Yield the path to write to, ``<path>.part``, which replaces `path` if the block raises no error."""
    unfinished = f"{os.fspath(path)}.part"
    yield unfinished
    os.replace(unfinished, path)


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write `content` to `path` as a whole, or not at all if an error interrupts it."""
    with atomically(path) as unfinished, open(unfinished, "w") as file:
        json.dump(content, file, indent=1)


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of the file at `path`, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
