"""Checkpoints are read without running code, and a file that is not one is named in one sentence."""

import argparse
import os
import pathlib

import pytest
import torch

from lm_plugins.checkpoints import FORCE, read_checkpoint, task_of_checkpoint
from lm_plugins.errors import Refused


def test_it_is_read_and_names_its_task(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"cfg": {"task": {"_name": "translation"}}, "model": {"w": torch.arange(3)}}, path)
    assert torch.equal(read_checkpoint(path)["model"]["w"], torch.arange(3))
    assert task_of_checkpoint(path) == "translation"
    torch.save({"cfg": None, "model": {}}, path)
    assert task_of_checkpoint(path) is None


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda path: torch.save({"model": pathlib.PurePosixPath("x")}, path), "could run code when loaded"),
        (lambda path: path.write_bytes(b"PK\3\4"), "cut short"),
        (lambda path: path.write_bytes(b""), "cut short"),
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
