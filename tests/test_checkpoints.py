"""Checkpoints are read without running code, and a file that is not one is named in one sentence."""

import argparse
import errno
import os
import pathlib
import threading

import pytest
import torch

from lm_plugins.checkpoints import FORCE, read_checkpoint, safe_loading, why_unreadable
from lm_plugins.errors import Refused


def test_it_is_read(tmp_path):
    torch.save({"model": {"w": torch.arange(3)}}, tmp_path / "a.pt")
    assert torch.equal(read_checkpoint(tmp_path / "a.pt")["model"]["w"], torch.arange(3))


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda path: torch.save({"model": pathlib.PurePosixPath("x")}, path), "could run code when loaded"),
        (lambda path: path.write_bytes(b"PK\3\4"), "cut short"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"\x80"), "not written by fairseq"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.write_text("no checkpoint"), "not written by fairseq"),
        (lambda path: torch.save(torch.zeros(2), path), "not written by fairseq"),
        (lambda path: torch.save({"weights": torch.zeros(2)}, path), "not written by fairseq"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "there is no checkpoint"),
    ],
)
def test_another_file_is_refused_by_name(content, message, tmp_path):
    content(tmp_path / "a.pt")
    with pytest.raises(Refused, match=message) as refusal:
        read_checkpoint(tmp_path / "a.pt")
    assert str(tmp_path / "a.pt") in str(refusal.value)


def test_the_process_may_still_load_what_it_could_load_before(tmp_path, monkeypatch):
    monkeypatch.delenv(FORCE, raising=False)  # another test of this process may have run a program
    torch.save({"model": {}}, tmp_path / "a.pt")
    torch.save(pathlib.PurePosixPath("x"), tmp_path / "other.pt")
    with torch.serialization.safe_globals([argparse.Namespace]):
        before = dict(os.environ), set(torch.serialization.get_safe_globals())
        read_checkpoint(tmp_path / "a.pt")
        assert (dict(os.environ), set(torch.serialization.get_safe_globals())) == before
    assert torch.load(tmp_path / "other.pt", weights_only=False) == pathlib.PurePosixPath("x")


def test_each_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    torch.manual_seed(1)
    saved = {"model": {"w": torch.randn(40, 40)}, "updates": 12345}
    torch.save(saved, tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    noticed = 0
    for position in torch.randint(8 * len(whole), (300,)).tolist():
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        (tmp_path / "b.pt").write_bytes(flipped)
        try:
            loaded = read_checkpoint(tmp_path / "b.pt")
        except Refused:
            noticed += 1
        else:
            assert torch.equal(loaded["model"]["w"], saved["model"]["w"]) and loaded["updates"] == 12345
    assert noticed > 200


def test_a_file_that_may_not_be_read_is_not_called_truncated(tmp_path):
    torch.save({"model": {}}, tmp_path / "a.pt")
    error = PermissionError(errno.EACCES, "Permission denied")
    assert "(Permission denied)" in why_unreadable(str(tmp_path / "a.pt"), error)
    assert "memory" in why_unreadable(
        str(tmp_path / "a.pt"), RuntimeError("DefaultCPUAllocator: can't allocate memory")
    )


def test_threads_that_load_at_once_restore_the_settings(monkeypatch):
    """The first to begin would end the safety of the other, which would make it that of the process."""
    monkeypatch.delenv(FORCE, raising=False)
    is_inside, may_end = threading.Event(), threading.Event()

    def load():
        with safe_loading():
            is_inside.set()
            assert may_end.wait(5)

    threads = [threading.Thread(target=load) for _ in range(2)]
    threads[0].start()
    assert is_inside.wait(5)
    is_inside.clear()
    threads[1].start()
    assert not is_inside.wait(0.1)
    may_end.set()
    for thread in threads:
        thread.join(5)
    assert FORCE not in os.environ
