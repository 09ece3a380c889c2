"""A small text, and the data-bin that fairseq-preprocess makes from it."""

import random
from pathlib import Path

from tests.helpers.runner import run_fairseq

SPLITS = ("train", "valid", "test")


def write_corpus(
    folder: Path, seed: int = 1, lines: tuple[int, int, int] = (400, 80, 90), words: int = 60
) -> list[Path]:
    """Write {train,valid,test}.txt, and return their paths; a word is often followed by its neighbours."""
    draw = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(words)]
    for split, count in zip(SPLITS, lines, strict=True):
        with open(folder / f"{split}.txt", "w") as file:
            for _ in range(count):
                word, line = draw.randrange(words), []
                for _ in range(draw.randrange(1, 25)):
                    word = (word + draw.choice((1, 1, 2, 3, draw.randrange(words)))) % words
                    line.append(vocabulary[word])
                file.write(" ".join(line) + "\n")
    return [folder / f"{split}.txt" for split in SPLITS]


def binarize(folder: Path, *options: str) -> Path:
    """Binarize the three texts in `folder` with further `options`, and return the data-bin."""
    prefixes = [word for split in SPLITS for word in (f"--{split}pref", folder / f"{split}.txt")]
    destination = folder / "bin"
    fixed = ("--only-source", "--padding-factor", "1", "--destdir", destination)
    run_fairseq("preprocess", *fixed, *prefixes, *options)
    return destination
