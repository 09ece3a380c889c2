"""Times and memory of rivals that do the same work, each in a process of its own."""

import contextlib
import ctypes
import importlib
import multiprocessing
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

SEED = 1
context = multiprocessing.get_context("forkserver")  # one process imports torch and fairseq for all cases


@dataclass
class Group:
    """Rivals: the first is the one that the others are compared with.

    Args:
        name: unique among all groups
        cases: {name: make}; make() prepares and returns the function that is timed: called with nothing, it
            leaves no memory behind, gradients neither
        words: done by one call, for words/s
    """

    name: str
    cases: dict[str, Callable[[], Callable[[], object]]]
    words: int | None = None


def compare(module, group, quick, repeat, device):
    """{case: (peak MiB, [(seconds, processor seconds)])}, of `repeat` rounds with every case once in each."""
    context.set_forkserver_preload([module])  # counts the first time
    running = {}
    try:
        for case in group.cases:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(module, group.name, case, quick, device, theirs))
            process.start()
            theirs.close()  # so that reading ends if the process does
            running[case] = (process, ours)
        results = {case: (connection.recv(), []) for case, (_, connection) in running.items()}
        for _ in range(repeat):
            for case, (_, connection) in running.items():
                connection.send(True)
                results[case][1].append(connection.recv())
        return results
    finally:
        for process, connection in running.values():
            with contextlib.suppress(BrokenPipeError):
                connection.send(False)
            process.join()


def serve(module, name, case, quick, device, connection):
    """Sends the peak, and then the times of the case whenever it is asked to run it."""
    if device != "cpu":  # which it is, and being told so slows every call down
        torch.set_default_device(device)
    torch.manual_seed(SEED)
    groups = importlib.import_module(module).groups(quick)
    work = done(next(group for group in groups if group.name == name).cases[case](), device)
    work()  # loads code and starts threads, which are not counted
    connection.send(peak_of_gpu(work) if device == "cuda" else peak_of(work))
    while connection.recv():
        start, of_processor = time.perf_counter(), time.process_time()
        work()
        connection.send((time.perf_counter() - start, time.process_time() - of_processor))


def done(work, device):
    """`work`, which has ended when it returns: a GPU goes on by itself."""
    if device != "cuda":
        return work

    def work_and_wait():
        work()
        torch.cuda.synchronize()

    return work_and_wait


def peak_of(work):
    """What the process holds at its peak above what it held before, in MiB."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed is not held
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts from here
    work()
    return memory("VmHWM") - before


def peak_of_gpu(work):
    """What tensors hold on it at their peak above what they held before, in MiB."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def memory(field):
    """Of this process, in MiB (Linux)."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
