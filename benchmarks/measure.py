"""Measure the time and memory of several cases that do the same work, each in its own process."""

import contextlib
import ctypes
import importlib
import multiprocessing
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import torch

Work = Callable[[], object]  # a function that is timed
Results = dict[str, tuple[float, list[tuple[float, float]]]]  # {case: (MiB, [(seconds, processor seconds)])}

SEED = 1
context = multiprocessing.get_context("forkserver")  # one process imports torch and fairseq for all cases


@dataclass
class Group:
    """Cases that are compared with the first one.

    Args:
        name: unique among all groups
        cases: {name: make}; make() prepares and returns the function that is timed. A call of that function
            frees all memory that it allocates, gradients included.
        words: number of words that one call processes, for words/s
        floors: {case: the case that is its floor}, see benchmarks/floor.py
    """

    name: str
    cases: dict[str, Callable[[], Work]]
    words: int | None = None
    floors: dict[str, str] = field(default_factory=dict)


def compare(module: str, group: Group, quick: bool, repeat: int, device: str) -> Results:
    """Run `repeat` rounds, each of which runs every case of `group` once.

    Returns:
        {case: (peak in MiB, [(seconds, processor seconds)])}
    """
    context.set_forkserver_preload([module])  # only the first call has an effect
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


def serve(module: str, name: str, case: str, quick: bool, device: str, connection: Connection) -> None:
    """Send the peak of a case, and then its times whenever a run is requested."""
    if device != "cpu":  # the CPU is the default; setting it would slow every call down
        torch.set_default_device(device)
    torch.manual_seed(SEED)
    groups = importlib.import_module(module).groups(quick)
    work = synchronised(next(group for group in groups if group.name == name).cases[case](), device)
    work()  # loading code and starting threads are not counted
    connection.send(peak_of_gpu(work) if device == "cuda" else peak_of(work))
    while connection.recv():
        start, of_processor = time.perf_counter(), time.process_time()
        work()
        connection.send((time.perf_counter() - start, time.process_time() - of_processor))


def synchronised(work: Work, device: str) -> Work:
    """Return a form of `work` that returns only after the GPU has finished."""
    if device != "cuda":
        return work

    def work_and_wait() -> None:
        work()
        torch.cuda.synchronize()

    return work_and_wait


def peak_of(work: Work) -> float:
    """Return how far the resident memory of this process rises during `work`, in MiB."""
    ctypes.CDLL(None).malloc_trim(0)  # return freed memory to the system
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts from here
    work()
    return memory("VmHWM") - before


def peak_of_gpu(work: Work) -> float:
    """Return how far the memory of tensors on the GPU rises during `work`, in MiB."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def memory(field: str) -> float:
    """Return a `field` of this process's status, such as VmRSS, in MiB (Linux only)."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
