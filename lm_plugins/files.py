"""Write files whole or not at all, and identify them by their content."""

import errno
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from lm_plugins.errors import Refused


def is_stream(path: str | os.PathLike) -> bool:
    """Return whether `path` is a device or a pipe, such as /dev/null, which must not be replaced by a file.

    /dev/stdout is one even where it leads to a file.
    """
    inside = os.path.dirname(os.path.abspath(path)) in ("/dev", "/dev/fd")
    return os.path.exists(path) and (inside or not (os.path.isfile(path) or os.path.isdir(path)))


def unfinished_path(path: str | os.PathLike) -> str:
    """Return where this process writes the content of `path`, which no other process does."""
    return f"{os.fspath(path)}.{platform.node()}.{os.getpid()}.part"


@contextmanager
def atomically(path: str | os.PathLike) -> Iterator[str]:
    """Yield the path to write to, which then replaces `path`, or is removed on an error.

    A device or a pipe is written to directly.
    """
    if is_stream(path):
        yield os.fspath(path)
        return
    unfinished = unfinished_path(path)
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.remove(unfinished)
        raise


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write `content` to `path` as a whole, or not at all if an error interrupts it."""
    with atomically(path) as unfinished, open(unfinished, "w") as file:
        json.dump(content, file, indent=1)


def check_writable(path: str | os.PathLike, option: str) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Args:
        option: names `path` in the message

    Raises:
        Refused: `path` is a folder, or its folder does not exist or cannot be written.
    """
    unfinished = unfinished_path(path)
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_stream(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        with open(unfinished, "a"):
            pass
        os.remove(unfinished)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refused(
            f"{option} {os.fspath(path)} cannot be written ({reason}): give a file in a folder that exists "
            "and can be written"
        ) from error


def check_files(
    outputs: Mapping[str, str | os.PathLike | None], inputs: Mapping[str, str | os.PathLike | None]
) -> None:
    """Refuse a file that cannot be written, or that would overwrite another one of the same command.

    Args:
        outputs: {option: the file that it writes, or None}
        inputs: {what it is: a file that is read, or None}

    Raises:
        Refused: see above
    """
    named: dict[str, str] = {}
    for what, path in inputs.items():
        if path is not None:
            named.setdefault(os.path.realpath(path), what)
    for option, path in outputs.items():
        if path is None:
            continue
        other = option if is_stream(path) else named.setdefault(os.path.realpath(path), option)
        if other != option:
            raise Refused(f"{option} {os.fspath(path)} would overwrite {other}: give another file")
        check_writable(path, option)


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of the file at `path`, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
