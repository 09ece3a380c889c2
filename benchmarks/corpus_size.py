"""Compare a small corpus with one a hundred times as large: neither time per window nor memory may differ.

Opening a corpus reads all of it once, to check it. The time for that grows with the corpus, the memory does
not.
"""

import logging
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset, data_file_path, index_file_path

from benchmarks.measure import Group, Work
from lm_plugins.tasks.recurrent_language_modeling import (
    RecurrentLanguageModelingConfig,
    RecurrentLanguageModelingTask,
)

BATCH, WINDOW, LINE, VOCABULARY = 20, 70, 25, 10_000


def write(folder: str, dictionary: Dictionary, tokens: int) -> None:
    """Write a training subset of `tokens` random words in lines of LINE, as fairseq-preprocess writes it."""
    draw, path = np.random.default_rng(1), str(Path(folder, "train"))
    lines = tokens // LINE
    with open(data_file_path(path), "wb") as file:
        for first in range(0, lines, 10_000):
            shape = (min(10_000, lines - first), LINE)
            block = draw.integers(dictionary.nspecial, VOCABULARY, shape, dtype=np.uint16)
            block[:, -1] = dictionary.eos()
            file.write(block.tobytes())
    with MMapIndexedDataset.Index.writer(index_file_path(path), np.uint16) as index:
        index.write([LINE] * lines)


class Corpus:
    """A corpus of `tokens` random words in a temporary folder, and the task that reads it."""

    def __init__(self, tokens: int) -> None:
        logging.getLogger("fairseq.data.data_utils").setLevel(logging.WARNING)  # it logs each opening
        self.folder = tempfile.TemporaryDirectory()
        dictionary = Dictionary()
        while len(dictionary) < VOCABULARY:
            dictionary.add_symbol(f"w{len(dictionary)}")
        write(self.folder.name, dictionary, tokens)
        self.task = RecurrentLanguageModelingTask(
            RecurrentLanguageModelingConfig(
                data=self.folder.name,
                tokens_per_sample=WINDOW,
                train_subset="train",
                dataset_impl=None,
                seed=1,
            ),
            dictionary,
        )
        self.task.decoder = SimpleNamespace(independent_sentences=False)
        self.task.generates = False

    def windows(self) -> Iterator[dict[str, Any]]:
        """Yield windows without end, epoch after epoch."""
        self.task.load_dataset("train", combine=True)
        iterator = self.task.get_batch_iterator(self.task.dataset("train"), max_sentences=BATCH)
        while True:
            yield from iterator.next_epoch_itr(shuffle=False)


def opening(tokens: int) -> Work:
    """Prepare the opening of a corpus, up to its first window."""
    corpus = Corpus(tokens)

    def work() -> None:
        next(corpus.windows())
        corpus.task.datasets.clear()

    return work


def reading(tokens: int, count: int) -> Work:
    """Prepare the reading of `count` windows."""
    windows = Corpus(tokens).windows()

    def work() -> None:
        for _ in islice(windows, count):
            pass

    return work


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for opening a corpus and one for reading it."""
    sizes, count = ((2_000, 20_000), 5) if quick else ((1_000_000, 100_000_000), 500)
    yield Group("opening a corpus", {f"{size:,} tokens": partial(opening, size) for size in sizes})
    yield Group(
        f"{count} windows of a corpus, {BATCH} x {WINDOW} words",
        {f"{size:,} tokens": partial(reading, size, count) for size in sizes},
        words=count * BATCH * WINDOW,
    )
