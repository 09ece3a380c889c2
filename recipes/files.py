"""Read and write the files of an experiment."""

import functools
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from preprocess import files


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file `path`; {} if there is no file or, with a warning, if it is damaged."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    warn(f"{path} is cut short or damaged, and is left out")
    return {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path`; whole or not at all, even if several nodes write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


@functools.cache
def warn(sentence: str) -> None:
    """Print a warning to stderr, once."""
    print(f"warning: {sentence}", file=sys.stderr, flush=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the content of `path`, in hexadecimal digits."""
    facts = path.stat()
    return _sha256(path, facts.st_mtime_ns, facts.st_size)


@functools.cache
def _sha256(path: Path, changed: int, size: int) -> str:
    """Compute the digest once for each state of the file."""
    return files.sha256(path)


def check_output(path: Path) -> None:
    """Make the folder of a file; refuse a file that cannot be written, before the work for its content.

    Raises:
        SystemExit: the message names `path` and the reason.
    """
    if path.is_dir():
        sys.exit(f"error: {path} is a folder: give the name of a file")
    make_folder(path.parent)
    try:
        with suppress(FileNotFoundError):  # it is never made here: another process may be writing it
            os.close(os.open(path, os.O_WRONLY))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {path} cannot be written ({reason(error)}): give another file")


def check_replaceable(path: Path, is_own: Callable[[str], bool]) -> None:
    """Refuse a file that cannot be written, or whose content another program or the user wrote.

    A program that is given the name of a picture calls this for each file that it writes beside it.

    Args:
        is_own: returns whether a text is one that the calling program writes

    Raises:
        SystemExit: the message names `path` and the reason.
    """
    check_output(path)
    if is_foreign(path, is_own):
        sys.exit(
            f"error: {path} would be replaced, but this program did not write it: "
            "give the picture another name, or move the file"
        )


def is_foreign(path: Path, is_own: Callable[[str], bool]) -> bool:
    """Return whether there is a file `path` that is not empty, and whose text is not one's own."""
    return path.exists() and bool(text := path.read_text(errors="replace")) and not is_own(text)


def has_keys(text: str, *keys: str) -> bool:
    """Return whether `text` is a JSON object with at least the `keys`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {*keys} <= content.keys()


def make_folder(path: Path) -> None:
    """Make the folder `path`; refuse one that cannot be written.

    Raises:
        SystemExit: the message names `path` and the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{os.getpid()}.part"
        probe.touch()
        probe.unlink(missing_ok=True)  # two containers may have the same process number
    except (OSError, ValueError) as error:
        sys.exit(f"error: {path} cannot be written ({reason(error)}): give another folder")


def reason(error: OSError | ValueError) -> str:
    """Return why a file cannot be written, in words."""
    if isinstance(error, FileExistsError):
        return "it is a file"
    return getattr(error, "strerror", None) or str(error)
