"""A process that starts one process for each GPU passes on the signals that end training."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch.multiprocessing as mp
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from lm_plugins.excepthook import excepthook
from lm_plugins.explanations import sentence
from lm_plugins.stop_signals import StopSignals, end_by, pass_to_children
from tests.helpers.runner import end_with, server


def train(rank: int, folder: Path) -> None:
    """Wait for a signal, and end by it, as a training run does."""
    signals = StopSignals()
    signals.listen()
    (folder / f"ready{rank}").touch()
    while signals.received is None:
        time.sleep(0.01)
    (folder / f"saved{rank}").write_text(signals.received.name)
    end_by(signals.received)


def start_two(folder: Path) -> None:
    """Start two processes as fairseq does, but forked: spawned ones would import torch again."""
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    sys.excepthook = excepthook
    pass_to_children()
    end_with(partial(mp.start_processes, train, (folder,), nprocs=2, start_method="fork"))


def status_of(number: int, folder: Path) -> int:
    """Send a signal to a process once it has started two others, and return its status."""
    process = server.Process(target=start_two, args=(folder,))
    process.start()
    while len(list(folder.glob("ready*"))) < 2:
        assert process.is_alive(), (folder / "log").read_text()
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(20)
    return process.exitcode


def test_an_interrupt_of_the_parent_ends_all(tmp_path):
    assert status_of(signal.SIGINT, tmp_path) == 130
    assert not list(tmp_path.glob("saved*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_parent_reaches_all_and_decides_its_status(number, tmp_path):
    assert status_of(number, tmp_path) == -number
    assert {(tmp_path / f"saved{rank}").read_text() for rank in (0, 1)} == {number.name}
    assert "Traceback" not in (tmp_path / "log").read_text()


def ignored(number: int) -> None:
    """End by a signal that has no effect, like one to process 1, whose signals the kernel ignores."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    end_by(number)


def test_a_process_that_no_signal_ends_exits_with_its_number():
    process = server.Process(target=ignored, args=(signal.SIGTERM,))
    process.start()
    process.join(20)
    process.kill()
    assert process.exitcode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "last, phrase",
    [
        ("lm_plugins.errors.Refused: give --batch-size", "give --batch-size"),
        ("lm_plugins.out_of_memory.OutOfMemory: memory ran out in a window", "memory ran out in a window"),
        ("FloatingPointError: gradients are Nan/Inf", "no longer a finite number"),
        ("torch.OutOfMemoryError: CUDA out of memory", "lower --batch-size"),
    ],
)
def test_the_error_of_a_spawned_process_is_that_of_the_run(last, phrase):
    trace = f"\n\n-- Process 1 terminated with the following error:\nTraceback (...):\n  File\n{last}\n"
    assert phrase in sentence(ProcessRaisedException(trace, 1, 123))
    assert sentence(ProcessRaisedException(trace.replace(last, "IndexError: 3"), 1, 123)) is None


def test_a_spawned_process_that_was_killed_is_named():
    error = ProcessExitedException("process 1 terminated with signal SIGKILL", 1, 123, -9, "SIGKILL")
    assert sentence(error).startswith("process 1 terminated with signal SIGKILL, and the other processes")
