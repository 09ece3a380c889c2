"""A damaged subset is refused, with the actual reason; the format of fairseq before 0.9 is read."""

import os
import shutil
import struct

import numpy as np
import pytest
from fairseq.data.indexed_dataset import IndexedDatasetBuilder
from torch import from_numpy

from lm_plugins.data.dictionary import load_dictionary
from lm_plugins.data.token_stream import load_token_stream
from lm_plugins.errors import Refused

HEADER = struct.calcsize("<9sQBQ")


@pytest.fixture
def folder(data_bin, tmp_path):
    return shutil.copytree(data_bin, tmp_path / "bin")


def load(folder, split="train", **options):
    return load_token_stream(str(folder), split, load_dictionary(str(folder)), **options)


def edit(path, change):
    """Change the bytes of a file in place."""
    content = bytearray(path.read_bytes())
    result = change(content)
    path.write_bytes(content if result is None else result)


def edit_sizes(index, change):
    """Change the sizes of the lines; the pointers then still belong to them."""
    content = index.read_bytes()
    (lines,) = struct.unpack("<Q", content[18:HEADER])
    sizes = np.frombuffer(content, np.int32, lines, HEADER).copy()
    change(sizes)
    begin = 2 * (np.cumsum(sizes, dtype=np.int64) - sizes)
    index.write_bytes(content[:HEADER] + sizes.tobytes() + begin.tobytes())


def edit_tokens(path, change):
    tokens = np.fromfile(path, np.uint16)
    change(tokens)
    tokens.tofile(path)


def replaced(suffix, make):
    """Return a damage that removes train.`suffix` and puts `make` in its place."""

    def damage(folder):
        (folder / f"train.{suffix}").unlink()
        make(folder / f"train.{suffix}")

    return damage


def index(change):
    return lambda folder: edit(folder / "train.idx", change)


def binary(change):
    return lambda folder: edit(folder / "train.bin", change)


def sizes(change):
    return lambda folder: edit_sizes(folder / "train.idx", change)


def tokens(change):
    return lambda folder: edit_tokens(folder / "train.bin", change)


def at(position, value):
    return lambda array: array.__setitem__(position, value)


def move_a_token(sizes):
    sizes[3:5] += [1, -1]


def balance(sizes):
    sizes[3:5] = [-5, sizes[3] + sizes[4] + 5]


DAMAGES = {
    "bin cut": (binary(lambda b: b[:-1]), "train.bin has .* bytes, but the 400 lines that"),
    "bin longer": (binary(lambda b: b + b"\5\0"), "do not belong together, or one is cut short"),
    "bin of another split": (lambda f: shutil.copy(f / "valid.bin", f / "train.bin"), "do not belong"),
    "idx of another split": (lambda f: shutil.copy(f / "valid.idx", f / "train.idx"), "the 80 lines that"),
    "bin emptied": (binary(lambda b: b""), "train.bin has 0 bytes, but"),
    "idx emptied": (index(lambda b: b""), "train.idx is empty: run fairseq-preprocess again"),
    "bin missing": (replaced("bin", lambda p: None), "train.bin is missing, although"),
    "idx missing": (replaced("idx", lambda p: None), "train.idx is missing, although"),
    "bin a folder": (replaced("bin", lambda p: p.mkdir()), "train.bin is not a regular file"),
    "bin a pipe": (replaced("bin", os.mkfifo), "train.bin is not a regular file"),
    "idx endless": (replaced("idx", lambda p: p.symlink_to("/dev/zero")), "train.idx is not a regular file"),
    "idx cut in its name": (index(lambda b: b[:5]), "train.idx is cut short"),
    "idx cut in its header": (index(lambda b: b[:20]), "train.idx is cut short in its header"),
    "idx cut": (index(lambda b: b[:-3]), "train.idx is cut short: it has .* bytes, and its header announces"),
    "idx longer": (index(lambda b: b + b"x"), "train.idx is damaged: it has"),
    "idx of text": (index(lambda b: b"hello world\n" * 9), "train.idx is not an index of fairseq-preprocess"),
    "idx of Huffman codes": (index(lambda b: b"HUFFIDX\0\0" + b[9:]), "in the format huffman: give"),
    "version": (index(at(9, 2)), "train.idx is damaged, or in a version 2 of its format"),
    "type unknown": (index(at(17, 77)), "its tokens have the unknown type 77"),
    "type float": (index(at(17, 6)), "its tokens have the unknown type 6"),
    "type wider": (index(at(17, 9)), "its lines do not follow each other"),
    "lines too many": (index(at(slice(18, 26), struct.pack("<Q", 1 << 60))), "train.idx is cut short"),
    "lines too few": (index(at(slice(18, 26), struct.pack("<Q", 7))), "train.idx is damaged: it has"),
    "pointer": (index(lambda b: b[:-3] + b"\1" + b[-2:]), "its lines do not follow each other"),
    "size below 0": (sizes(balance), "a line has a negative size"),
    "sizes moved": (sizes(move_a_token), "lines of .*train.idx end at other tokens"),
    "tokens shuffled": (tokens(np.random.default_rng(0).shuffle), "lines of .*train.idx end at other tokens"),
    "tokens zero": (tokens(at(slice(0, 3), 0)), "line 1 of .*train has the literal symbol <s>.*is damaged"),
    "end within a line": (tokens(at(0, 2)), "line 1 of .*train has the literal symbol </s>"),
    "bit flipped": (tokens(at(0, 0x8005)), "token ids beyond the 64 symbols of its dict.txt, such as 32,773"),
    "byte order": (tokens(lambda t: t.byteswap(inplace=True)), "token ids beyond the 64 symbols"),
}  # fmt: skip


@pytest.mark.parametrize("damage, sentence", DAMAGES.values(), ids=DAMAGES)
def test_each_kind_of_damage_has_its_own_message(damage, sentence, folder):
    damage(folder)
    with pytest.raises(Refused, match=sentence) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)
    assert len(load(folder, "test")) > 90


def test_a_negative_id_is_refused(folder):
    edit(folder / "train.idx", at(17, 3))  # int16
    assert load(folder).tokens.dtype == np.int16
    edit_tokens(folder / "train.bin", at(0, 0xFFFF))
    with pytest.raises(Refused, match="such as -1: dictionary and data"):
        load(folder)


def test_lines_without_an_end_are_read(folder):
    """Corpora of bytes and characters have such lines, because fairseq's </s> is removed."""
    edit_tokens(folder / "train.bin", lambda tokens: tokens.__setitem__(tokens == 2, 5))
    assert (load(folder)[:] != 2).all()
    edit_tokens(folder / "train.bin", at(0, 2))
    with pytest.raises(Refused, match="line 1 of .*train has the literal symbol </s>"):
        load(folder)
    edit_tokens(folder / "valid.bin", at(-1, 5))
    assert load(folder, "valid")[-1] == 5, "the last line alone"


def write_cached(folder, split):
    """Write `split` in the default format of fairseq before 0.9, in place of the current one."""
    stream = load(folder, split)
    ids, ends = np.array(stream[:], np.int64), np.cumsum(stream.line_sizes)
    builder = IndexedDatasetBuilder(str(folder / f"{split}.bin"))
    for end, size in zip(ends, stream.line_sizes, strict=True):
        builder.add_item(from_numpy(ids[end - size : end]))
    builder.finalize(str(folder / f"{split}.idx"))
    return ids, stream.line_sizes


@pytest.mark.parametrize("dataset_impl", [None, "cached", "lazy"])
def test_the_format_before_memory_maps_is_read(folder, dataset_impl):
    ids, line_sizes = write_cached(folder, "train")
    stream = load(folder, dataset_impl=dataset_impl)
    assert stream[:].tolist() == ids.tolist() and stream.line_sizes.tolist() == line_sizes.tolist()
    with pytest.raises(Refused, match="in the format cached, not mmap: leave out --dataset-impl"):
        load(folder, dataset_impl="mmap")


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda b: b[:-8], "train.idx is cut short: it has"),
        (lambda b: b[:20], "train.idx is cut short in its header"),
        (at(16, 77), "its tokens have the unknown type 77"),
        (at(48 + 8, 9), "does not hold lines of text"),
        (at(48 + 8 * 401 + 16, 99), "its lines do not follow each other"),
    ],
)
def test_the_old_format_is_checked_too(folder, change, sentence):
    write_cached(folder, "train")
    edit(folder / "train.idx", change)
    with pytest.raises(Refused, match=sentence):
        load(folder)


def test_a_format_that_was_asked_for_must_be_there(folder):
    for dataset_impl in ("lazy", "raw", "huffman", "fasta"):
        with pytest.raises(Refused, match="leave out --dataset-impl"):
            load(folder, dataset_impl=dataset_impl)
    (folder / "plain").write_text("w1 w2\nw3\n")
    assert len(load(folder, "plain")) == len(load(folder, "plain", dataset_impl="raw")) == 5
    (folder / "train").write_text("w1\n")
    assert len(load(folder)) > 400, "the binarized subset comes first"
    (folder / "hollow").touch()
    with pytest.raises(Refused, match="hollow is empty"):
        load(folder, "hollow")


def test_what_a_folder_has_instead_of_the_subset_is_named(folder):
    with pytest.raises(Refused, match="no data for the subset 'dev' in .*bin, which has test, train, valid"):
        load(folder, "dev")
    (folder / "01").mkdir()
    for name in ("train.bin", "train.idx"):
        (folder / name).rename(folder / "01" / name)
    with pytest.raises(Refused, match="has no subset .* but its subfolders do: give .*bin/01"):
        load(folder)
