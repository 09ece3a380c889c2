"""A full disk ends training with one sentence, and the last complete checkpoint is kept."""

import resource
import shutil
import time

import pytest
import torch
from fairseq import checkpoint_utils

from lm_plugins.tasks.written_once import WrittenOnce
from tests.helpers.checkpoints import load, same_weights
from tests.helpers.refusals import refused
from tests.helpers.runner import TINY, Run, train

SIZE = resource.RLIMIT_FSIZE  # a file that grows larger raises an OSError


def test_it_is_read_as_a_plain_dict(tmp_path):
    torch.save({"a": WrittenOnce(b=[1])}, tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True) == {"a": {"b": [1]}}


def test_a_passing_error_does_not_replace_the_checkpoint(tmp_path, monkeypatch):
    path, (_, hard) = tmp_path / "checkpoint_last.pt", resource.getrlimit(SIZE)
    torch.save("the good one", path)
    state = {"model": torch.zeros(30_000), "extra_state": {"task": WrittenOnce()}}
    monkeypatch.setattr(checkpoint_utils.time, "sleep", lambda _: resource.setrlimit(SIZE, (hard, hard)))
    resource.setrlimit(SIZE, (50_000, hard))
    try:
        with pytest.raises(SystemExit, match="could not be written"):
            checkpoint_utils.torch_persistent_save(state, str(path))
    finally:
        resource.setrlimit(SIZE, (hard, hard))
    assert torch.load(path) == "the good one"


@pytest.mark.parametrize("passing", [True, False])
def test_training_ends(data_bin, tmp_path, passing):
    train(data_bin, tmp_path / "whole", "--max-epoch", "1", "--max-update", "3")
    shutil.copytree(tmp_path / "whole", tmp_path / "full")
    last = tmp_path / "full/checkpoint_last.pt"
    flags = ("--save-dir", tmp_path / "full", "--save-interval-updates", "4", "--max-update", "40")
    run = Run("train", data_bin, "--arch", "awd_lstm_ptb", *TINY, *flags)
    _, hard = resource.getrlimit(SIZE)
    resource.prlimit(run.process.pid, SIZE, (last.stat().st_size * 3 // 4, hard))
    if passing:
        while not list((tmp_path / "full").glob("*.tmp")):
            assert run.process.is_alive(), run.output()
        time.sleep(1)  # fairseq waits for 2.5 seconds
        resource.prlimit(run.process.pid, SIZE, (hard, hard))
    finished = run.finish()
    assert finished.status == 1
    refused(finished, "could not be written", "the same command continues")
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", last)
    resumed = train(data_bin, tmp_path / "full", *flags)
    assert load(last)["optimizer_history"][-1]["num_updates"] == 40, resumed.output
    assert not list((tmp_path / "full").glob("*.tmp"))
