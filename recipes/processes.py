"""Start child processes that receive the signals of this process, and that end with it.

Slurm, a terminal and `kill` send a signal to one process. The user who started training through it expects
the training process to receive the signal.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from types import FrameType
from typing import Any, Protocol

PASSED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
HANDLED = (*PASSED, signal.SIGTSTP)
PR_SET_PDEATHSIG = 1
# torchrun passes SIGTERM on to its processes; these signals would kill it and leave its processes behind.
SENT_TO_TORCHRUN = {signal.SIGUSR1: signal.SIGTERM, signal.SIGUSR2: signal.SIGTERM}
# fairseq-train would otherwise start one process for each GPU of the machine.
ONE_PROCESS = ("--distributed-world-size", "1")
prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux


class Child(Protocol):
    """A Popen, or a Process of multiprocessing."""

    pid: int

    def kill(self) -> None: ...


class Stopped(SystemExit):
    """Raised when a child has ended after a signal was passed on to it.

    The code is the child's status, or 128 + signal if that is 0.
    """

    def __init__(self, status: int, number: int) -> None:
        super().__init__(exit_status(status) or 128 + number)
        self.number = number


def become_child(parent: int) -> None:
    """Prepare this process, a new child of the process `parent`.

    The child gets its own process group, so that Ctrl-C reaches it once, through its parent. Linux sends it
    SIGTERM when its parent dies, even by SIGKILL.
    """
    os.setpgid(0, 0)
    for number in HANDLED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent has already died
        os._exit(128 + signal.SIGTERM)


@contextmanager
def passing_signals(
    start: Callable[[], Child], wait: Callable[[Any], int], sent_as: Mapping[int, int] | None = None
) -> Iterator[Child]:
    """Start a child, and pass the signals of this process on to it until the block ends.

    If the block raises an error, the child is killed. Ctrl-Z stops the child too. Ignored signals, such as
    SIGHUP under nohup, stay ignored.

    Args:
        start: starts the child, which calls :func:`become_child`
        wait: waits for the end of the child, and returns its status as of Popen
        sent_as: {signal of this process: signal to send to the child}, where they differ

    Raises:
        Stopped: a signal was passed on
    """
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        with suppress(ProcessLookupError):
            os.kill(child.pid, (sent_as or {}).get(number, number))

    def pause(number: int, frame: FrameType | None) -> None:
        os.kill(child.pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # returns after SIGCONT
        os.kill(child.pid, signal.SIGCONT)

    heard = [number for number in HANDLED if signal.getsignal(number) is not signal.SIG_IGN]
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # until there is a child
    try:
        child = start()
        before = {n: signal.signal(n, pass_on if n in PASSED else pause) for n in heard}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    try:
        yield child
        status = wait(child)
    except BaseException:
        child.kill()
        wait(child)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        print(f"stopped by {signal.Signals(received[0]).name}", file=sys.stderr, flush=True)
        raise Stopped(status, received[0])


def exit_status(status: int) -> int:
    """Return the exit status of a shell, 128 + signal, for the negative one of Popen."""
    return status if status >= 0 else 128 - status


@contextmanager
def piped(
    command: Sequence[str], sent_as: Mapping[int, int] | None = None, **options: Any
) -> Iterator[Popen]:
    """Start `command` with its output in the pipe ``stdout``, and pass signals on to it.

    Its ``returncode`` is known after the block. The `options` are those of Popen. If the block raises
    SystemExit, because the log cannot be written, the program is ended by SIGTERM, so that it can save.
    See :func:`passing_signals`.
    """
    options["env"] = with_full_log(options.get("env") or os.environ)
    fixed = {"text": True, "errors": "replace", "stdin": DEVNULL, "stdout": PIPE, "stderr": STDOUT}
    start = partial(Popen, command, preexec_fn=partial(become_child, os.getpid()), **(fixed | options))
    with passing_signals(start, Popen.wait, sent_as) as process, process.stdout:
        try:
            yield process
        except SystemExit:
            process.terminate()  # torchrun passes it on
            for _ in process.stdout:  # a full pipe would stop it
                pass
            process.wait()
            raise


def with_full_log(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with a LOGLEVEL at which fairseq's programs log the numbers that recipes read."""
    level = environ.get("LOGLEVEL", "").upper()
    return {**environ, "LOGLEVEL": "DEBUG" if level == "DEBUG" else "INFO"}


def end_quietly_by_interrupt() -> None:
    """Let Ctrl-C end this process without a traceback, unless the signal is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
