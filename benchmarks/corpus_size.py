"""A small corpus and a hundred times as much: what a window costs must not depend on it, nor the memory.

Opening a corpus reads all of it once, to check it: that takes as long as the corpus is large, but no memory.
"""

import logging
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset, data_file_path, index_file_path

from benchmarks.measure import Group
from lm_plugins.tasks.recurrent_language_modeling import (
    RecurrentLanguageModelingConfig,
    RecurrentLanguageModelingTask,
)

BATCH, WINDOW, LINE, VOCABULARY = 20, 70, 25, 10_000


def write(folder, dictionary, tokens):
    """A training subset of `tokens` random words in lines of LINE, as fairseq-preprocess writes it."""
    draw, path = np.random.default_rng(1), str(Path(folder, "train"))
    lines = tokens // LINE
    with open(data_file_path(path), "wb") as file:
        for at in range(0, lines, 10_000):
            shape = (min(10_000, lines - at), LINE)
            block = draw.integers(dictionary.nspecial, VOCABULARY, shape, dtype=np.uint16)
            block[:, -1] = dictionary.eos()
            file.write(block.tobytes())
    with MMapIndexedDataset.Index.writer(index_file_path(path), np.uint16) as index:
        index.write([LINE] * lines)


class Corpus:
    """In a temporary folder, and the task that reads it."""

    def __init__(self, tokens):
        logging.getLogger("fairseq.data.data_utils").setLevel(logging.WARNING)  # not a line for each opening
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

    def windows(self):
        """Without end, epoch after epoch."""
        self.task.load_dataset("train", combine=True)
        iterator = self.task.get_batch_iterator(self.task.dataset("train"), max_sentences=BATCH)
        while True:
            yield from iterator.next_epoch_itr(shuffle=False)


def opening(tokens):
    corpus = Corpus(tokens)

    def work():
        next(corpus.windows())
        corpus.task.datasets.clear()

    return work


def reading(tokens, count):
    windows = Corpus(tokens).windows()

    def work():
        for _ in islice(windows, count):
            pass

    return work


def groups(quick):
    sizes, count = ((2_000, 20_000), 5) if quick else ((1_000_000, 100_000_000), 500)
    yield Group("opening a corpus", {f"{size:,} tokens": partial(opening, size) for size in sizes})
    yield Group(
        f"{count} windows of a corpus, {BATCH} x {WINDOW} words",
        {f"{size:,} tokens": partial(reading, size, count) for size in sizes},
        words=count * BATCH * WINDOW,
    )
