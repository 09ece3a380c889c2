"""Kill a training run at a checkpoint."""

import filecmp
import os
import signal
import time
from pathlib import Path

from tests.helpers.runner import Run


def kill_after(runs: list[Run], checkpoint: Path) -> None:
    """Send SIGKILL to all `runs` once `checkpoint` exists, except while fairseq copies it to its last one."""
    last = checkpoint.parent / "checkpoint_last.pt"

    def signal_all(number: int) -> None:
        for run in runs:
            os.kill(run.process.pid, number)

    def last_is_whole() -> bool:
        others = set(last.parent.glob("checkpoint*.pt")) - {last}
        return last.exists() and any(filecmp.cmp(last, other, shallow=False) for other in others)

    while all(run.process.is_alive() for run in runs):
        if checkpoint.exists():
            signal_all(signal.SIGSTOP)
            if last_is_whole():
                break
            signal_all(signal.SIGCONT)
        time.sleep(0.01)
    assert checkpoint.exists(), runs[0].output()
    for run in runs:
        run.process.kill()
    for run in runs:
        run.process.join()
