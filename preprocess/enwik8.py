"""The bytes of enwik8, the first 100,000,000 of a Wikipedia dump: 90/5/5 million (Hutter prize).

A byte is written as its decimal code. A line break is the end of a line, so ``</s>`` stands for byte 10.
Where a split does not end in a line break, the ``</s>`` that fairseq appends is removed. Every byte is thus a
target exactly once, and nothing else is a target. The loss (base 2) is bits per character.
"""

from collections.abc import Callable
from pathlib import Path

from preprocess.corpus import Corpus, Split, main
from preprocess.counts import Counts

SIZE = 100_000_000
CUTS = {"train": (0, 90_000_000), "valid": (90_000_000, 95_000_000), "test": (95_000_000, SIZE)}
ARCHIVES = ("http://mattmahoney.net/dc/enwik8.zip", "https://cs.fit.edu/~mmahoney/compression/enwik8.zip")
ARCHIVE_SHA256 = "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc"


def cut(plain: Path, first: int, last: int, size: int) -> bytes:
    """Return the bytes first..last-1 of the file `plain`; refuse a file that is not `size` bytes long."""
    length = Path(plain).stat().st_size
    if length != size:
        raise SystemExit(f"error: {plain} has {length:,} bytes, not the official {size:,}: get it again")
    with open(plain, "rb") as file:
        file.seek(first)
        return file.read(last - first)


def codes(data: bytes, text: Path) -> None:
    """Write the decimal codes of the bytes `data` to `text`, one line for each of its lines."""
    words = [f"{byte} ".encode() for byte in range(256)]
    words[10] = b"\n"
    with open(text, "wb") as file:
        for start in range(0, len(data), 1 << 20):
            file.write(b"".join(map(words.__getitem__, data[start : start + (1 << 20)])))


def splits_of(
    name: str, write: Callable[[bytes, Path], None], size: int, cuts: dict[str, tuple[int, int]]
) -> dict[str, Split]:
    """Return the splits of the file `name` of `size` bytes, cut at `cuts`; `write` makes a text of bytes."""

    def split(first: int, last: int) -> Split:
        def rewrite(plain: Path, text: Path) -> None:
            write(cut(plain, first, last, size), text)

        return Split((name,), Counts(), rewrite=rewrite, targets=last - first)

    return {split_name: split(*ends) for split_name, ends in cuts.items()}


def enwik8(size: int = SIZE, cuts: dict[str, tuple[int, int]] = CUTS) -> Corpus:
    """Return the corpus; tests give another size and other cuts."""
    splits = splits_of("enwik8", codes, size, cuts)
    return Corpus(
        "enwik8",
        splits,
        archives=ARCHIVES,
        archive_sha256=ARCHIVE_SHA256,
        closed=True,
        surplus="last",
        level="byte",
    )


if __name__ == "__main__":
    main(enwik8())
