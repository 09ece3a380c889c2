"""A split is read as one flat array, and refused where fairseq would score it wrongly."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary

from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.streams import contiguous
from lm_plugins.data.token_stream import TokenStream, load_token_stream
from lm_plugins.data.windows import cut, fixed
from lm_plugins.errors import Refused
from tests.helpers.corpus import binarize, write_corpus


def ids(text, dictionary):
    return [
        dictionary.index(word) for line in text.read_text().splitlines() for word in [*line.split(), "</s>"]
    ]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_tokens_are_the_text_in_order(corpus, data_bin, split):
    dictionary = Dictionary.load(str(data_bin / "dict.txt"))
    stream = load_token_stream(str(data_bin), split, dictionary)
    assert stream[:].tolist() == ids(corpus / f"{split}.txt", dictionary)
    assert isinstance(stream.tokens, np.memmap)


def test_combine_appends_further_parts(corpus, data_bin, tmp_path):
    dictionary = Dictionary.load(str(data_bin / "dict.txt"))
    for split, name in (("valid", "train"), ("test", "train1")):
        for suffix in ("bin", "idx"):
            (tmp_path / f"{name}.{suffix}").write_bytes((data_bin / f"{split}.{suffix}").read_bytes())
    stream = load_token_stream(str(tmp_path), "train", dictionary, combine=True)
    assert stream[:].tolist() == [
        *ids(corpus / "valid.txt", dictionary),
        *ids(corpus / "test.txt", dictionary),
    ]
    assert len(load_token_stream(str(tmp_path), "train", dictionary)) < len(stream)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's figures")
def test_nothing_of_a_memory_map_stays_resident(tmp_path):
    (tmp_path / "tokens").touch()
    os.truncate(tmp_path / "tokens", 64 << 20)
    stream = TokenStream("train", np.memmap(tmp_path / "tokens", mode="r", dtype=np.uint16), None)
    windows = StreamWindows(stream, contiguous(stream, 16), range(16), pad=1, eos=2)
    before = resident()
    assert stream.counts(5).tolist() == [len(stream), 0, 0, 0, 0]
    for window in cut(len(windows), fixed(windows.streams(1).length // 400)):
        windows[window]
    assert resident() - before < 32 << 20  # of 64


def resident():
    """Return the resident memory of files, in bytes."""
    return int(re.search(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10


def test_a_missing_subset_is_refused(data_bin):
    dictionary = Dictionary.load(str(data_bin / "dict.txt"))
    with pytest.raises(Refused, match="no data for the subset 'nowhere'"):
        load_token_stream(str(data_bin), "nowhere", dictionary)


def test_ids_beyond_the_dictionary_are_refused(data_bin):
    with pytest.raises(Refused, match="beyond the 4 symbols"):
        load_token_stream(str(data_bin), "train", Dictionary())


@pytest.mark.parametrize("symbol", ["<pad>", "<s>", "</s>"])
def test_literal_special_symbols_are_refused(tmp_path, symbol):
    texts = write_corpus(tmp_path, lines=(40, 5, 5))
    texts[1].write_text(f"w1 w2 {symbol} w3\nw4\n")
    folder = binarize(tmp_path)
    dictionary = Dictionary.load(str(folder / "dict.txt"))
    with pytest.raises(Refused, match=f"literal symbol {symbol}"):
        load_token_stream(str(folder), "valid", dictionary)
    assert len(load_token_stream(str(folder), "train", dictionary)) > 40


def test_tokens_that_no_line_counts_are_refused(tmp_path):
    list(write_corpus(tmp_path, lines=(40, 5, 5)))
    folder = binarize(tmp_path)
    dictionary = Dictionary.load(str(folder / "dict.txt"))
    with (folder / "valid.bin").open("ab") as file:
        file.write(np.full(5, dictionary.index("w1"), np.uint16).tobytes())
    with pytest.raises(Refused, match="do not belong together"):
        load_token_stream(str(folder), "valid", dictionary)
    assert len(load_token_stream(str(folder), "train", dictionary)) > 40
