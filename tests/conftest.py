"""Shared by all tests: a small corpus that the tests make, and a fixed seed."""

import random

import pytest
import torch

from tests.helpers.runner import run_fairseq


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


def write_corpus(folder, seed=1, lines=(400, 80, 90), words=60):
    """A text with some structure: a word is often followed by its neighbours in the list."""
    draw = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(words)]
    for split, count in zip(("train", "valid", "test"), lines, strict=True):
        with open(folder / f"{split}.txt", "w") as file:
            for _ in range(count):
                at, line = draw.randrange(words), []
                for _ in range(draw.randrange(1, 25)):
                    at = (at + draw.choice((1, 1, 2, 3, draw.randrange(words)))) % words
                    line.append(vocabulary[at])
                file.write(" ".join(line) + "\n")
        yield folder / f"{split}.txt"


def binarize(folder, *extra):
    texts = {name: str(folder / f"{name}.txt") for name in ("train", "valid", "test")}
    run_fairseq(
        "preprocess",
        "--only-source",
        "--padding-factor",
        "1",
        "--destdir",
        str(folder / "bin"),
        "--trainpref",
        texts["train"],
        "--validpref",
        texts["valid"],
        "--testpref",
        texts["test"],
        *extra,
    )
    return folder / "bin"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Folder with {train,valid,test}.txt; about 5,000, 1,000 and 1,000 tokens."""
    folder = tmp_path_factory.mktemp("corpus")
    list(write_corpus(folder))
    return folder


@pytest.fixture(scope="session")
def data_bin(corpus):
    """The corpus as fairseq-preprocess writes it."""
    return binarize(corpus)


@pytest.fixture(scope="session")
def other_data_bin(tmp_path_factory):
    """Another text with a dictionary of the same size."""
    folder = tmp_path_factory.mktemp("other")
    list(write_corpus(folder, seed=2))
    for split in ("train", "valid", "test"):
        text = folder / f"{split}.txt"
        text.write_text(text.read_text().replace("w", "v"))
    return binarize(folder)
