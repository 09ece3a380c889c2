"""What a text file must hold: lines, tokens, unknown words, types."""

from dataclasses import asdict, dataclass, fields
from typing import Optional

UNKNOWN = b"<unk>"


@dataclass(frozen=True)
class Counts:
    """None: not known. Tokens are separated by white space; each line is closed by one more, ``</s>``."""

    lines: Optional[int] = None
    tokens: Optional[int] = None
    unknown: Optional[int] = None
    types: Optional[int] = None  # with </s>


def count(path):
    lines = tokens = unknown = 0
    types = set()
    with open(path, "rb") as file:
        for line in file:
            words = line.split()
            lines += 1
            tokens += len(words) + 1
            unknown += words.count(UNKNOWN)
            types.update(words)
    return Counts(lines, tokens, unknown, len(types) + 1)


def check(path, expected):
    """Counts of the file `path`, which must agree with `expected`.

    Raises:
        SystemExit: names the file and both numbers.
    """
    found = count(path)
    for field in fields(Counts):
        right, here = getattr(expected, field.name), getattr(found, field.name)
        if right is not None and right != here:
            raise SystemExit(
                f"error: {path} has {here:,} {field.name}, the official text has {right:,}: it is another "
                "version or cut short, get it again"
            )
    return found


def as_dict(counts):
    return asdict(counts)
