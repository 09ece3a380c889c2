"""The Python language reference, which comes with every CPython, as a small corpus.

    python -m preprocess.topics FOLDER

writes train.txt, valid.txt and test.txt: lower-cased words and single punctuation marks, one paragraph per
line. The first 80 % of each topic, in alphabetical order, are for training, the next 10 % for validation and
the last 10 % for test. A paragraph that several topics share is used once, so that no test paragraph is
seen in training. The text differs slightly between versions of Python.
"""

import argparse
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from pydoc_data.topics import topics

from preprocess.command_line import nonempty_path, run
from preprocess.files import atomically

SPLITS = ("train", "valid", "test")
TOKEN = re.compile(r"\w+|[^\w\s]")
RULE = re.compile(r"[-=+*~^|#\s]{3,}")  # borders of tables, lines under titles


def tokenise(paragraph: str) -> list[str]:
    """Return the tokens of `paragraph`; empty if it is nothing but rules and borders.

    No token can be a special symbol of fairseq, since '<' is a separate token.
    """
    lines = [line for line in paragraph.splitlines() if not RULE.fullmatch(line)]
    return TOKEN.findall(" ".join(line.strip(" |") for line in lines).lower())


def paragraphs(text: str, seen: set[str]) -> Iterator[list[str]]:
    """Iterate over the token lists of `text` that are not in `seen`, and add them to it."""
    for paragraph in re.split(r"\n\s*\n", text):
        tokens = tokenise(paragraph)
        line = " ".join(tokens)
        if tokens and line not in seen:
            seen.add(line)
            yield tokens


def split(texts: dict[str, str]) -> dict[str, list[list[str]]]:
    """Return {split: token lists} of `texts`, {title: text}."""
    splits, seen = {name: [] for name in SPLITS}, set()
    for _, text in sorted(texts.items()):
        topic = list(paragraphs(text, seen))
        cuts = [0, len(topic) * 8 // 10, len(topic) * 9 // 10, len(topic)]
        for name, (first, last) in zip(SPLITS, pairwise(cuts), strict=True):
            splits[name] += topic[first:last]
    return splits


def write(folder: Path) -> dict[str, int]:
    """Write the three files into `folder`; each appears whole or not at all.

    Returns:
        {split: number of tokens, the end of each line counted}
    """
    folder = Path(folder)
    splits = split(topics)
    for name, lines in splits.items():
        with atomically(folder / f"{name}.txt") as part:
            part.write_text("".join(" ".join(tokens) + "\n" for tokens in lines), encoding="utf-8")
    return {name: sum(len(tokens) + 1 for tokens in lines) for name, lines in splits.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m preprocess.topics", description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER", type=nonempty_path, help="folder for the three texts")
    for name, tokens in write(parser.parse_args().folder).items():
        print(f"{name}.txt: {tokens:,} tokens")


if __name__ == "__main__":
    run(main)
