"""Lock a folder for one writer, even on a disk that several machines share."""

import errno
import fcntl
import multiprocessing.connection
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

LOCK = ".lock"
held: set[int] = set()  # descriptors of the locks that this process holds
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` and hold its lock; wait while another process holds it.

    The system releases the lock when this process ends, however it ends. Processes that are forked inside the
    block do not hold the lock; those that write must end with this process (:func:`end_with_parent`).

    Raises:
        SystemExit: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise SystemExit(
            f"error: {folder} cannot be written ({error.strerror}): give another folder"
        ) from error
    held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder} is being written by another process: waiting for it", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            print(f"warning: {folder} cannot be locked: let only one process write to it", flush=True)
        yield
    finally:
        held.discard(descriptor)
        os.close(descriptor)


def _release_in_child() -> None:
    """Close the inherited descriptors, because the last open one keeps the lock."""
    while held:
        os.close(held.pop())


os.register_at_fork(after_in_child=_release_in_child)


def end_with_parent() -> None:
    """End this process, which multiprocessing started, as soon as its parent has ended, however it ended."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
