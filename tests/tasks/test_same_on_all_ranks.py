"""Processes of one training that were started differently, as on two machines, are refused."""

import pytest

from lm_plugins.errors import Refused
from lm_plugins.tasks import same_on_all_ranks
from tests.helpers.refusals import files
from tests.helpers.runner import start_ranks, train_ranks
from tests.helpers.tasks import training


def all_refuse(runs, *phrases):
    """Check that all processes end with the same sentence, to which torch adds their rank."""
    for rank, finished in enumerate([run.finish() for run in runs]):
        assert finished.status == 1 and "Traceback" not in finished.output, finished.output
        assert finished.error().startswith(f"[rank{rank}]: lm_plugins: error: process ")
        assert all(phrase in finished.error() for phrase in phrases), finished.error()


@pytest.mark.parametrize(
    "of_last, difference",
    [
        (("--seed", "4"), "process 1 has --seed 4, and process 0 has 3"),
        (("--max-update", "2"), "process 1 has --max-update 2, and process 0 has 3"),
    ],
)
def test_another_command_of_one_process_is_refused(data_bin, tmp_path, of_last, difference):
    """Each process would train another model, or wait for one that has ended."""
    runs = start_ranks(2, data_bin, tmp_path / "new", "--max-update", "3", of_last=of_last)
    all_refuse(runs, difference, "start all processes with the same command")
    assert not files(tmp_path)


def test_a_checkpoint_of_one_process_alone_is_refused(data_bin, tmp_path):
    """The process that has it would wait for the other one to take part in loading it.

    What a machine may choose for itself is not compared.
    """
    saved, empty = tmp_path / "saved", tmp_path / "empty"
    own = ("--log-interval", "7", "--save-dir", empty)
    train_ranks(2, data_bin, saved, "--max-update", "1", of_last=own)
    for folders in ((saved, empty), (empty, saved)):
        alone, other = folders.index(saved), folders.index(empty)
        runs = start_ranks(2, data_bin, folders[0], "--max-update", "2", of_last=("--save-dir", folders[1]))
        all_refuse(runs, f"process {alone} continues from {saved}", f"process {other} does not have")


def test_another_text_of_one_process_is_refused(data_bin, monkeypatch):
    """Each process would read its part of another text."""
    task, *_ = training(data_bin, "awd_lstm_ptb")
    monkeypatch.setattr(
        same_on_all_ranks, "from_all_ranks", lambda facts: [facts, {**facts, "corpus": facts["corpus"] + 1}]
    )
    with pytest.raises(Refused, match="'train' of process 1 is not that of process 0"):
        task.get_batch_iterator(task.dataset("train"), max_sentences=4)
