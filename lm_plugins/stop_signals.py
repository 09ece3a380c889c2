"""The signals with which a scheduler asks a program to save and end: SIGTERM, and Slurm's SIGUSR1."""

import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn, Optional

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Record which signal has asked this process to end."""

    def __init__(self) -> None:
        self.received: Optional[signal.Signals] = None

    def listen(self) -> None:
        """Record the signals from now on, except those that already have another handler."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers only in the main thread
        for number in STOP_SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, _pass_on):
                signal.signal(number, self._record)

    def _record(self, number: int, frame: Optional[FrameType]) -> None:
        self.received = signal.Signals(number)


def pass_to_children() -> None:
    """Pass the signals on to the processes that this one starts, and end by them while there are none.

    fairseq starts one process for each GPU and waits for their end. A process that trains itself calls
    :meth:`StopSignals.listen` afterwards.
    """
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _pass_on)


def _pass_on(number: int, frame: Optional[FrameType]) -> None:
    children = multiprocessing.active_children()
    for child in children:
        os.kill(child.pid, number)
    if not children:
        end_by(signal.Signals(number))


def end_by(number: signal.Signals) -> NoReturn:
    """End this process by a signal, so that its status is 143 for SIGTERM and 138 for SIGUSR1 in a shell.

    The kernel ignores such a signal to process 1, which the program of a container usually is. That process
    exits with the same number.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # the caller has closed it
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
