"""The signals with which a scheduler asks a program to save and end: SIGTERM, and SIGUSR1 of Slurm."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn, Optional

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Records which signal has asked this process to end."""

    def __init__(self) -> None:
        self.received: Optional[signal.Signals] = None

    def listen(self) -> None:
        """Record the signals from here on, except those for which somebody else has a handler."""
        if threading.current_thread() is not threading.main_thread():
            return  # where Python allows no handlers
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._record)

    def _record(self, number: int, frame: Optional[FrameType]) -> None:
        self.received = signal.Signals(number)


def end_by(number: signal.Signals) -> NoReturn:
    """End this process by a signal, so that its status is 143 for SIGTERM and 138 for SIGUSR1 in a shell."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pause()
