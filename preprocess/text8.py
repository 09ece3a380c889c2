"""text8, 100,000,000 characters of Wikipedia in lower case: 90/5/5 million (Mahoney 2006).

A space is written as an underscore. The text has no line breaks. fairseq reads it in lines, whose ``</s>``
are removed. Every character is thus a target exactly once, and nothing else is a target. The loss (base 2) is
bits per character.
"""

from pathlib import Path

from preprocess.corpus import Corpus, main
from preprocess.enwik8 import CUTS, SIZE, splits_of

ARCHIVES = ("http://mattmahoney.net/dc/text8.zip", "https://cs.fit.edu/~mmahoney/compression/text8.zip")
ARCHIVE_SHA256 = "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232"
LINE = 10_000  # characters


def characters(data: bytes, text: Path) -> None:
    """Write the characters `data` to `text`, separated by spaces, LINE characters on each line."""
    with open(text, "wb") as file:
        for start in range(0, len(data), LINE):
            line = data[start : start + LINE].decode("ascii").replace(" ", "_")
            file.write(" ".join(line).encode() + b"\n")


def text8(size: int = SIZE, cuts: dict[str, tuple[int, int]] = CUTS) -> Corpus:
    """Return the corpus; tests give another size and other cuts."""
    splits = splits_of("text8", characters, size, cuts)
    return Corpus(
        "text8",
        splits,
        archives=ARCHIVES,
        archive_sha256=ARCHIVE_SHA256,
        dictionary=27 + 4,
        closed=True,
        surplus="all",
        level="underscore",
    )


if __name__ == "__main__":
    main(text8())
