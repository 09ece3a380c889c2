"""Read files with tab-separated columns; an error names the line."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lm_plugins.errors import Refused


class Line(NamedTuple):
    """The columns of a line, and its name for messages."""

    name: str  # line N of FILE
    columns: list[str]


def read_lines(path: Path, columns: str, least: int) -> Iterator[Line]:
    """Yield the lines of a file in UTF-8, with or without a byte-order mark.

    Args:
        columns: what the columns are, for messages
        least: number of columns, at least

    Raises:
        Refused: the file cannot be read, a line is not UTF-8 or has too few columns, or there are no lines
    """
    try:
        raw = path.read_bytes().removeprefix(BOM_UTF8).splitlines()
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}): give a file with {columns}") from error
    if not raw:
        raise Refused(f"{path} is empty: give a file with {columns}")
    for number, line in enumerate(raw, start=1):
        name = f"line {number:,} of {path}"
        try:
            values = [value.strip() for value in line.decode().split("\t")]
        except UnicodeDecodeError as error:
            raise Refused(f"{name} is not UTF-8 ({error.reason}): convert the file to UTF-8") from error
        if len(values) < least:
            count = "1 column" if len(values) == 1 else f"{len(values)} columns"
            raise Refused(f"{name} has {count}: give {columns}, separated by tabs")
        if not values[0]:
            raise Refused(f"{name} has no utterance in its first column: give {columns}")
        yield Line(name, values)
