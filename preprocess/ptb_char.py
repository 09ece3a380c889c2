"""Character-level Penn Treebank, Mikolov's version: 50 symbols, a space written as an underscore.

The official files end in a single space after the last line break. It is removed, because it would be read as
a line.
"""

from pathlib import Path

from preprocess.corpus import Corpus, Split, main
from preprocess.counts import Counts

ARCHIVE = "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
MIRROR = "https://web.archive.org/web/2018/http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"


def without_last_space(plain: Path, text: Path) -> None:
    """Write the file `plain` to `text` without the space at its end."""
    text.write_bytes(plain.read_bytes().removesuffix(b" "))


def split(name: str, digest: str, lines: int, tokens: int, types: int) -> Split:
    """Return a file of the corpus, with its SHA-256 and its :class:`Counts`."""
    return Split(
        (f"ptb.char.{name}.txt", f"{name}.txt"),
        Counts(lines, tokens, 0, types),
        sha256=digest,
        rewrite=without_last_space,
    )


PTB_CHAR = Corpus(
    "ptb_char",
    {
        "train": split(
            "train", "e313d91425e06c4f0a8fb6e881dcce0c291f2a0e9f4dda54833069b122f91da9", 42068, 5017482, 50
        ),
        "valid": split(
            "valid", "21661f63ec355085879458b6524644d4add5573541b4be14fb52ab2e2e995eb8", 3370, 393042, 50
        ),
        "test": split(
            "test", "1ef5607ac3c463b16e38bfe7900dd3bfc91de5a96e0f21e7eab5188b465b8ebe", 3761, 442423, 48
        ),
    },
    archives=(ARCHIVE, MIRROR),
    dictionary=53,
    level="underscore",
)

if __name__ == "__main__":
    main(PTB_CHAR)
