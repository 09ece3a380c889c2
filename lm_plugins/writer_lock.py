"""Let only one process at a time write to a folder."""

import fcntl
import logging
import os
import socket
import time
from contextlib import suppress
from typing import Optional, TextIO

from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)

LOCK = ".lock"
TRIES, PAUSE = 5, 0.1  # attempts to take the lock, and the seconds between them


def lock_folder(folder: str | os.PathLike) -> Optional[TextIO]:
    """Lock `folder` for this process, until the returned file is closed or the process ends.

    The kernel releases the lock of a process that is killed. The lock is a POSIX record lock, which children
    do not inherit: a process that training has started, and that survives it, does not hold it.

    Returns:
        the open lock file, which names this process; None, with a warning, if the file system has no locks

    Raises:
        Refused: another process holds the lock
    """
    file = open(os.path.join(folder, LOCK), "a+")
    try:
        _take(file, fcntl.LOCK_EX, folder)
    except OSError as error:
        file.close()
        logger.warning(f"{folder} cannot be locked ({error.strerror}): let only one process write to it")
        return None
    except Refused:
        file.close()
        raise
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def check_free(folder: str | os.PathLike) -> None:
    """Refuse a folder that another process has locked; several processes may look at the same time.

    Nothing is written, and a folder without a lock that can be read is taken for free. The process that
    holds the lock must not call this: the kernel would release it.

    Raises:
        Refused: another process holds the lock
    """
    with suppress(OSError), open(os.path.join(folder, LOCK)) as file:
        _take(file, fcntl.LOCK_SH, folder)


def _take(file: TextIO, kind: int, folder: str | os.PathLike) -> None:
    """Take a lock of the `kind` on the open lock `file` of `folder`; refuse if another process keeps one."""
    for left in reversed(range(TRIES)):  # a process that only looks holds the lock for a moment
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
            return
        except (BlockingIOError, PermissionError):  # which of the two depends on the system
            if left:
                time.sleep(PAUSE)
    file.seek(0)
    holder = file.read().strip() or "another process"
    raise Refused(f"{holder} is writing to {folder}: wait until it has ended, or choose another folder")
