"""Fixtures of all tests: a small corpus and a fixed seed."""

import os
from pathlib import Path

import pytest
import torch

from tests.helpers.corpus import SPLITS, binarize, write_corpus

if not torch.cuda.is_available():
    # Triton reads this once, when it is first imported, and parts of torch import it too.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True)
def seed() -> None:
    """Seed the generator of torch before each test."""
    torch.manual_seed(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with {train,valid,test}.txt; about 5,000, 1,000 and 1,000 tokens."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="session")
def data_bin(corpus: Path) -> Path:
    """Return the corpus as fairseq-preprocess writes it."""
    return binarize(corpus)


@pytest.fixture(scope="session")
def other_data_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return another text with a dictionary of the same size."""
    folder = tmp_path_factory.mktemp("other")
    write_corpus(folder, seed=2)
    for split in SPLITS:
        text = folder / f"{split}.txt"
        text.write_text(text.read_text().replace("w", "v"))
    return binarize(folder)
