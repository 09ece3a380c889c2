"""Data workers are forked; where they cannot be, training reads its windows without them."""

from lm_plugins.tasks.iteration import supported_workers
from tests.helpers.runner import train


def test_a_system_that_does_not_fork(data_bin, tmp_path, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "fork")
    assert supported_workers(2) == 2
    monkeypatch.undo()  # the programs of tests are started by a server, and so are their children
    finished = train(data_bin, tmp_path, "--num-workers", "2", "--max-update", "2", "--no-save")
    assert "--num-workers 2 needs forked processes" in finished.output
