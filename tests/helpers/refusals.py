"""Checks of a run that is refused."""

from pathlib import Path

from lm_plugins.writer_lock import LOCK
from tests.helpers.runner import Finished


def refused(finished: Finished, *phrases: str) -> None:
    """Check that the last line is one sentence of ours with `phrases`, and that there is no traceback."""
    assert finished.error().startswith("lm_plugins: error: "), finished.output
    assert "Traceback" not in finished.output, finished.output
    for phrase in phrases:
        assert phrase in finished.error(), finished.error()


def files(folder: Path) -> dict[Path, bytes]:
    """Return the content of all files under `folder`, other than the lock of the process that writes."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != LOCK)
    return {path: path.read_bytes() for path in paths}
