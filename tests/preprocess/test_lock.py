"""A folder has one writer, and the lock of a writer that was killed is free."""

import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from preprocess.lock import end_with_parent, locked

FORK = multiprocessing.get_context("fork")


def write_until_killed(folder, pids, orphans):
    """Hold the lock, with a worker that writes and one that only reads; never end."""
    with locked(folder), ProcessPoolExecutor(1, FORK, initializer=end_with_parent) as pool:
        pids.put(pool.submit(os.getpid).result())
        reader = FORK.Process(target=time.sleep, args=(orphans,))
        reader.start()
        pids.put(reader.pid)
        time.sleep(60)


def alive(pid):
    """Return whether the process runs; an orphan that has ended may still wait for its exit status."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="asks Linux whether a process runs")
def test_a_killed_writer_leaves_no_lock_and_no_other_writer(tmp_path, capsys):
    pids = FORK.Queue()
    writer = FORK.Process(target=write_until_killed, args=(tmp_path, pids, 20))
    writer.start()
    worker, reader = pids.get(timeout=20), pids.get(timeout=20)
    assert alive(worker)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    with locked(tmp_path):
        assert "waiting" not in capsys.readouterr().out
        assert alive(reader), "the lock is free although a process that only reads is still running"
    os.kill(reader, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


def hold(folder, held, free, printed=os.devnull):
    with open(printed, "w") as sys.stdout, locked(folder):
        held.set()
        free.wait(20)


def test_a_second_writer_waits_and_says_so(tmp_path):
    held, free = FORK.Event(), FORK.Event()
    first = FORK.Process(target=hold, args=(tmp_path, held, free))
    first.start()
    assert held.wait(20)
    printed = tmp_path / "printed"
    printed.touch()
    second = FORK.Process(target=hold, args=(tmp_path, FORK.Event(), free, printed))
    second.start()
    while "is being written by another process: waiting for it" not in printed.read_text():
        assert second.is_alive()
    free.set()
    first.join(20), second.join(20)
    assert (first.exitcode, second.exitcode) == (0, 0)
