"""A dict.txt that is missing, damaged or from another corpus is refused, and the line is named."""

import hashlib
import json
import os

import pytest

from lm_plugins.data.dictionary import load_dictionary
from lm_plugins.errors import Refused

GOOD = "the 9\ncat 5\nséance 1\n".encode()


def test_a_good_dictionary(tmp_path):
    (tmp_path / "dict.txt").write_bytes(GOOD)
    assert load_dictionary(str(tmp_path)).symbols[4:] == ["the", "cat", "séance"]
    (tmp_path / "dict.txt").write_bytes(GOOD.replace(b"\n", b"\r\n") + b"the 2 #fairseq:overwrite\n")
    assert load_dictionary(str(tmp_path)).indices["the"] == 7


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "dict.txt is empty"),
        (GOOD + b"cat 5\n", "because line 4 repeats the symbol cat"),
        (GOOD + b"<unk> 5\n", "because line 4 repeats the symbol <unk>"),
        (GOOD + b"dog\n", "because line 4 is not a symbol and its count, but 'dog'"),
        (GOOD[:-2], "because line 3 is not a symbol and its count, but 'séance'"),
        (GOOD + b"dog 5.5\n", "line 4 is not a symbol and its count, but 'dog 5.5'"),
        (GOOD + b"dog -5\n", "line 4 is not a symbol and its count, but 'dog -5'"),
        (GOOD + b" 5\n", "line 4 is not a symbol and its count, but ' 5'"),
        (GOOD + b"a dog 5\n", "line 4 is not a symbol and its count, but 'a dog 5'"),
        (GOOD.replace(b" ", b"\t"), "line 1 is not a symbol and its count"),
        (GOOD + b"\n", "line 4 is empty"),
        (b"\xef\xbb\xbf" + GOOD, "line 1 begins with a byte-order mark"),
        (GOOD + b"caf\xe9 2\n", "line 4 is not UTF-8"),
        (GOOD.decode().encode("utf-16"), "line 1 is not UTF-8"),
    ],
)
def test_a_damaged_dictionary(content, sentence, tmp_path):
    (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises(Refused, match=sentence) as refusal:
        load_dictionary(str(tmp_path))
    assert "\n" not in str(refusal.value)


def test_the_dictionary_that_preprocess_recorded(tmp_path):
    (tmp_path / "dict.txt").write_bytes(GOOD)
    files = {"dict.txt": hashlib.sha256(GOOD).hexdigest()}
    for mark in ('{"corpus": "ptb"}', "[]", "", json.dumps({"files": files})):
        (tmp_path / ".complete").write_text(mark)
        assert len(load_dictionary(str(tmp_path))) == 7
    (tmp_path / "dict.txt").write_bytes(b"of 9\nanother 5\ncorpus 1\n")
    with pytest.raises(Refused, match="is not the file that its folder was made with"):
        load_dictionary(str(tmp_path))


def test_what_a_folder_has_instead_of_a_dictionary(tmp_path):
    with pytest.raises(Refused, match="none does not exist: give a folder"):
        load_dictionary(str(tmp_path / "none"))
    with pytest.raises(Refused, match="has no dict.txt: give a folder written by .* --only-source$"):
        load_dictionary(str(tmp_path))
    (tmp_path / "dict.en.txt").write_bytes(GOOD)
    with pytest.raises(Refused, match="without --source-lang, since dict.en.txt is that of a language"):
        load_dictionary(str(tmp_path))
    (tmp_path / "wiki.train.tokens").touch()
    with pytest.raises(Refused, match=r"but text that is not binarized \(wiki.train.tokens\)"):
        load_dictionary(str(tmp_path))
    with pytest.raises(Refused, match="is a file: give the folder"):
        load_dictionary(str(tmp_path / "dict.en.txt"))
    os.mkfifo(tmp_path / "dict.txt")
    with pytest.raises(Refused, match="dict.txt is not a regular file"):
        load_dictionary(str(tmp_path))


def test_a_folder_that_preprocess_has_not_finished(tmp_path):
    for name, content in (("dict.txt", GOOD), (".inputs", b"{}")):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(
        Refused, match="is incomplete, because preprocess was interrupted: run its command again"
    ):
        load_dictionary(str(tmp_path))
    (tmp_path / ".complete").write_text("{}")  # and was killed before it removed .inputs
    assert len(load_dictionary(str(tmp_path))) == 7
