"""Outputs are checked before the work for them; devices and pipes are written to, not replaced."""

import glob
import os
import stat
import threading
from pathlib import Path

import pytest

from lm_plugins.errors import Refused
from lm_plugins.files import atomically, check_files, check_writable


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
    reader.start()
    check_files({"--output": path}, {})
    with atomically(path) as unfinished, open(unfinished, "w") as file:
        file.write("scores")
    reader.join(10)
    assert read == ["scores"] and stat.S_ISFIFO(path.stat().st_mode)


def test_two_outputs_may_go_to_the_null_device():
    check_files({"--output": "/dev/null", "--json": "/dev/null"}, {})
    with pytest.raises(Refused, match="--json .* would overwrite --output"):
        check_files({"--output": "scores", "--json": "scores"}, {})
    assert not glob.glob("/dev/null?*")


def test_another_process_that_writes_the_same_file_is_not_disturbed(tmp_path, monkeypatch):
    """Neither its check nor its content touches what the first one is writing; the last to end has it."""
    path = tmp_path / "scores.tsv"
    with atomically(path) as first:
        Path(first).write_text("first")
        with monkeypatch.context() as process:
            process.setattr(os, "getpid", lambda: -1)
            check_writable(path, "--output")
            with atomically(path) as second:
                Path(second).write_text("second")
        assert path.read_text() == "second" and Path(first).read_text() == "first"
    assert path.read_text() == "first" and [one.name for one in tmp_path.iterdir()] == ["scores.tsv"]
