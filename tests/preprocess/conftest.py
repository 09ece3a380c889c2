"""fairseq-preprocess from the warm server of the tests, in place of a process that imports fairseq."""

import pytest

from preprocess import binarize
from tests.runner import run_fairseq


@pytest.fixture(autouse=True)
def quick_fairseq(monkeypatch):
    class Done:
        def __init__(self, command, **_):
            finished = run_fairseq("preprocess", *command[3:], succeeds=None)
            self.returncode, self.stdout, self.stderr = finished.status, finished.output, ""

    monkeypatch.setattr(binarize.subprocess, "run", Done)
