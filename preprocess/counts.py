"""Count lines, tokens, unknown words and types of a text, and check them against the official numbers."""

from dataclasses import dataclass, fields
from pathlib import Path

UNKNOWN = b"<unk>"


@dataclass(frozen=True)
class Counts:
    """Counts of a text; None: not known.

    Tokens are separated by white space, and each line ends in one more, ``</s>``.
    """

    lines: int | None = None
    tokens: int | None = None
    unknown: int | None = None
    types: int | None = None  # including </s>


def count(path: Path) -> Counts:
    """Return the counts of the text file `path`.

    Raises:
        SystemExit: a line is not UTF-8.
    """
    lines = tokens = unknown = 0
    types = set()
    with open(path, "rb") as file:
        for line in file:
            words = line.split()
            lines += 1
            if not is_utf8(line):
                raise SystemExit(f"error: line {lines:,} of {path} is not UTF-8: get the text again")
            tokens += len(words) + 1
            unknown += words.count(UNKNOWN)
            types.update(words)
    return Counts(lines, tokens, unknown, len(types) + 1)


def is_utf8(line: bytes) -> bool:
    """Return whether `line` is text in UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def check(path: Path, expected: Counts) -> Counts:
    """Return the counts of the file `path`, which must agree with `expected`.

    Raises:
        SystemExit: they do not; the message names the file and both numbers.
    """
    counts = count(path)
    for field in fields(Counts):
        right, here = getattr(expected, field.name), getattr(counts, field.name)
        if right is not None and right != here:
            raise SystemExit(
                f"error: {path} has {here:,} {field.name}, but the official text has {right:,}: it is "
                "another version or is truncated, so get it again"
            )
    return counts
