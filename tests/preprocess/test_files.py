"""A file is written completely or stays as it was; its digest is that of its content."""

import hashlib
import io

import pytest

from preprocess.files import atomically, sha256, sha256_of


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "folder/a.txt"
    with atomically(path) as part:
        part.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one" and list(path.parent.iterdir()) == [path]


def test_after_an_error_the_file_is_as_before(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), atomically(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    with atomically(path) as part:
        part.write_text("after")
    assert path.read_text() == "after"


def test_the_digest_of_a_file_and_of_a_stream(tmp_path):
    content = b"abc" * 100_000
    (tmp_path / "a").write_bytes(content)
    wanted = hashlib.sha256(content).hexdigest()
    assert sha256(tmp_path / "a") == sha256_of(io.BytesIO(content)) == wanted
