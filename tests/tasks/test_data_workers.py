"""Windows are cut in the process that trains: no worker process and no thread reads them."""

import multiprocessing
import threading

import torch

from tests.helpers.tasks import training


def test_no_process_is_started_for_windows(data_bin):
    task, *_ = training(data_bin, "awd_lstm_ptb")
    windows = task.get_batch_iterator(task.dataset("train"), max_sentences=4, num_workers=2).next_epoch_itr()
    assert torch.is_tensor(next(windows)["target"]) and not multiprocessing.active_children()


def test_no_thread_is_left_inside_torch_when_training_ends(data_bin):
    task, *_ = training(data_bin, "awd_lstm_ptb")
    threads = threading.active_count()
    windows = task.get_batch_iterator(task.dataset("train"), max_sentences=4, data_buffer_size=10)
    next(windows.next_epoch_itr())
    assert threading.active_count() == threads
