"""Data workers read the same windows, and where they cannot be forked, training does without them."""

import threading

import numpy as np
import pytest

from lm_plugins.tasks.iteration import supported_workers
from tests.helpers.runner import train
from tests.helpers.tasks import training


def flattened(batch):
    """Return the entries of a batch and of the dictionaries in it."""
    inner = batch["net_input"]
    return {**batch, **inner, "net_input": sorted(inner)}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_read_the_same_batches(data_bin, workers):
    task, *_ = training(data_bin, "awd_lstm_ptb", "--tokens-per-sample", "40")

    def batches(**options):
        return task.get_batch_iterator(task.dataset("train"), max_sentences=10, **options).next_epoch_itr()

    count = 0
    for own, other in zip(batches(), batches(num_workers=workers), strict=True):
        own, other = flattened(own), flattened(other)
        assert own.keys() == other.keys()
        for name, value in own.items():
            assert np.array_equal(value, other[name]), name
        count += 1
    assert count > 1


def test_no_thread_is_left_inside_torch_when_training_ends(data_bin):
    task, *_ = training(data_bin, "awd_lstm_ptb")
    threads = threading.active_count()
    windows = task.get_batch_iterator(task.dataset("train"), max_sentences=4, data_buffer_size=10)
    next(windows.next_epoch_itr())
    assert threading.active_count() == threads


def test_a_system_that_does_not_fork(data_bin, tmp_path, monkeypatch):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "fork")
    assert supported_workers(2) == 2
    monkeypatch.undo()  # the programs of tests are started by a server, and so are their children
    finished = train(data_bin, tmp_path, "--num-workers", "2", "--max-update", "2", "--no-save")
    assert "--num-workers 2 needs forked processes" in finished.output
