"""Read the lines of a file or of standard input, checked before anything is scored."""

import os
import stat
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from lm_plugins.errors import Refused

COPIED = 1 << 20  # bytes of an input that are copied at a time
LARGEST = 1 << 22  # characters of a block, unless it is a single line

Check = Callable[[str], object]  # raises Refused for a line that cannot be scored


class Lines:
    """The lines of a text, without their line breaks, each decoded and checked.

    Args:
        file: the text, in bytes
        name: names it in messages
        check: is called with each line
    """

    def __init__(self, file: BinaryIO, name: str, check: Check) -> None:
        self.file, self.name, self.check = file, name, check

    def __iter__(self) -> Iterator[str]:
        """Yield the lines from the current position of the file.

        Raises:
            Refused: a line is not UTF-8, holds a NUL character, or does not pass the check
        """
        for number, raw in enumerate(self.file, 1):
            raw = raw.removesuffix(b"\n").removesuffix(b"\r")
            yield self._decoded(raw.removeprefix(BOM_UTF8) if number == 1 else raw, number)

    def count(self) -> int:
        """Return the number of lines after checking all of them, and go back to the first line.

        Raises:
            Refused: see :meth:`__iter__`
        """
        count = sum(1 for _ in self)
        self.file.seek(0)
        return count

    def _decoded(self, raw: bytes, number: int) -> str:
        where = f"line {number:,} of {self.name}"
        if b"\0" in raw:
            raise Refused(f"{where} holds a NUL character: give plain text in UTF-8")
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            raise Refused(
                f"{where} is not UTF-8 (byte {error.start + 1:,} is 0x{raw[error.start]:02x}): convert the "
                "text, for example with iconv -f LATIN1 -t UTF-8"
            ) from error
        try:
            self.check(line)
        except Refused as error:
            raise Refused(f"{where}: {error}") from error
        return line


def open_text(path: str | None, twice: bool) -> tuple[BinaryIO, str]:
    """Return a text as a file, and its name.

    Args:
        path: of the text; None: standard input
        twice: whether the file must be readable twice; standard input and pipes are then copied to a
            temporary file

    Raises:
        Refused: it cannot be read
    """
    if path is None:
        return (_copied(sys.stdin.buffer) if twice else sys.stdin.buffer), "standard input"
    try:
        if os.path.isdir(path):
            raise Refused(f"{path} is a folder: give a text file")
        file = open(path, "rb")  # noqa: SIM115  the caller closes it
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return (file if regular or not twice else _copied(file)), path
    except (OSError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): give a text file"
        ) from error


def _copied(source: BinaryIO) -> BinaryIO:
    """Return a temporary file with the content of `source`."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    while content := source.read(COPIED):
        copy.write(content)
    copy.seek(0)
    return copy


def blocks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the lines in blocks of at most `size` lines and LARGEST characters, at least one line each.

    A block of `size` lines is yielded before the next line is read, which may wait for an answer.
    """
    block: list[str] = []
    characters = 0
    for line in lines:
        if block and characters + len(line) > LARGEST:
            yield block
            block, characters = [], 0
        block.append(line)
        characters += len(line)
        if len(block) == size:
            yield block
            block, characters = [], 0
    if block:
        yield block
