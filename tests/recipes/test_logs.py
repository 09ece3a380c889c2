"""What fairseq-train with the plug-in really logs is understood."""

import os
import re

import pytest

from recipes.logs import epochs, parameters
from recipes.progress import Progress
from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.runner import train, train_ranks

SPLIT = ("--split-vocabulary", "--optimizer", "nt_asgd", "--averaging", "never")
DAYS = "2026-01-01", "2026-01-02"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the log of two passes over two data folders, by two processes that split the tables."""
    folders = []
    for number in range(2):
        folder = tmp_path_factory.mktemp(f"folder{number}")
        write_corpus(folder, seed=number, lines=(40, 20, 20))
        folders.append(binarize(folder, *(("--srcdict", folders[0] / "dict.txt") if folders else ())))
    data = os.pathsep.join(map(str, folders))
    return train_ranks(2, data, tmp_path_factory.mktemp("run"), *SPLIT, "--max-epoch", "2").output


def test_the_progress_over_two_folders_has_its_end(run):
    lines = []
    progress = Progress(lines.append)
    for line in run.splitlines(keepends=True):
        progress.feed(line)
    shown = [line for line in lines if "epoch" in line]
    assert shown[0] == f"  epoch 1 of 2, folder 1 of 2 begins, {parameters(run):,} parameters"
    assert [line.split("  ")[1] for line in shown[1:]] == [
        f"epoch {number} of 2, folder {folder} of 2" for number in (1, 2) for folder in (1, 2)
    ]


def test_split_tables_count_on_both_processes(run, data_bin, tmp_path):
    """The dictionary has as many words."""
    assert "num. expert model params: 0 " not in run
    assert parameters(run) == parameters(train(data_bin, tmp_path, "--max-update", "1").output)


@pytest.mark.parametrize("typed", ["completed", "complete"])
def test_the_time_between_two_runs_does_not_count(run, typed, tmp_path):
    """Both were piped into one log. The second one logs no command if nothing was missing in it."""
    first, second = (re.sub(r"(?m)^\S+ (?=\S+ \| )", f"{day} ", run) for day in DAYS)
    if typed == "complete":
        second = "".join(line for line in second.splitlines(True) if "completed command" not in line)
    second = re.sub(r'"epoch": (\d)', lambda match: f'"epoch": {int(match[1]) + 4}', second)
    (tmp_path / "log").write_text(first + second)
    entries = epochs(tmp_path / "log", "train")
    assert [one["epoch"] for one in entries] == [0.5 * number for number in range(1, 9)]
    assert entries[-1]["seconds"] < 3600
