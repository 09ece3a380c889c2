"""How often checkpoints are saved does not change training: rules count the scheduled validations."""

import pytest

from lm_plugins.tasks.cuda_graphs import GraphedSteps
from recipes.logs import logged
from tests.helpers.checkpoints import load, optimizer_state, same_weights
from tests.helpers.recording import rerun
from tests.helpers.refusals import files, refused
from tests.helpers.runner import train, train_ranks
from tests.helpers.tasks import training

NO_EPOCHS = "--no-epoch-checkpoints"
# The rate from epoch 2 on is so high that the rule fires after it.
TRIGGERED = ("--optimizer", "nt_asgd", "--lr", "1,20", "--nonmono", "0", NO_EPOCHS, "--max-epoch", "3")
TWO_TAILED = (
    "--optimizer", "nt_asgd", "--lr", "4", "--averaging", "two_tailed", NO_EPOCHS, "--max-epoch", "2",
)  # fmt: skip
PLATEAU = ("--lr-scheduler", "plateau", "--lr-patience", "1", "--lr", "8", NO_EPOCHS, "--max-epoch", "2")


@pytest.mark.parametrize("flags", [TRIGGERED, TWO_TAILED, (*TWO_TAILED, "--update-freq", "3"), PLATEAU])
def test_saving_more_often_changes_nothing(data_bin, tmp_path, flags):
    train(data_bin, tmp_path / "once", *flags)
    train(data_bin, tmp_path / "often", *flags, "--save-interval-updates", "15")
    once, often = (tmp_path / name / "checkpoint_last.pt" for name in ("once", "often"))
    assert same_weights(once, often)
    assert optimizer_state(once).get("history") == optimizer_state(often).get("history")


@pytest.mark.parametrize("flags", [TRIGGERED, TWO_TAILED, PLATEAU])
def test_a_stop_within_an_epoch_changes_nothing(data_bin, tmp_path, flags):
    """fairseq validates where --max-update stops it, here with a higher loss than at the end of epoch 1."""
    train(data_bin, tmp_path / "whole", *flags)
    train(data_bin, tmp_path / "stopped", *flags, "--max-update", "160")
    train(data_bin, tmp_path / "stopped", *flags)
    whole, stopped = (tmp_path / name / "checkpoint_last.pt" for name in ("whole", "stopped"))
    assert same_weights(whole, stopped)
    assert optimizer_state(whole).get("history") == optimizer_state(stopped).get("history")


def test_two_processes_count_the_same_validations(data_bin, tmp_path):
    flags = (*TRIGGERED, "--batch-size", "2")
    train_ranks(2, data_bin, tmp_path / "once", *flags)
    train_ranks(2, data_bin, tmp_path / "often", *flags, "--save-interval-updates", "30")
    assert same_weights(tmp_path / "once/checkpoint_last.pt", tmp_path / "often/checkpoint_last.pt")


def test_averaging_starts_at_the_end_of_an_epoch(data_bin, tmp_path):
    finished = train(data_bin, tmp_path, *TRIGGERED, "--max-epoch", "4", "--save-interval-updates", "20")
    ends = {int(float(epoch["train_num_updates"])) for epoch in logged(finished.output, "train")}
    first = next(log for log in logged(finished.output, "valid") if float(log["valid_averaging"]))
    counted = optimizer_state(tmp_path / "checkpoint_last.pt")["averaged"]
    assert max(ends) - counted in ends
    assert int(float(first["valid_num_updates"])) > max(ends) - counted


def test_validations_within_an_epoch_count_if_they_are_scheduled(data_bin, tmp_path):
    train(data_bin, tmp_path, *TRIGGERED, "--max-epoch", "1", "--validate-interval-updates", "30")
    updates = load(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"]
    assert len(optimizer_state(tmp_path / "checkpoint_last.pt")["history"]) == -(-updates // 30)


def test_a_validation_that_an_overflow_repeats_counts_once(data_bin):
    task, model, _, _ = training(data_bin, "qrnn_ptb", "--validate-interval-updates", "30")
    counted = []
    for task.updates in (30, 30, 31, 60):  # the update after the first one overflows float16 on a GPU
        task.begin_valid_epoch(1, model)
        counted.append(task.is_counted)
    assert counted == [True, False, False, True]


def test_epochs_without_a_validation_do_not_count(data_bin, tmp_path):
    flags = ("--max-epoch", "4", "--validate-interval", "2", "--save-interval-updates", "30")
    train(data_bin, tmp_path, *TRIGGERED, *flags)
    assert len(optimizer_state(tmp_path / "checkpoint_last.pt")["history"]) == 2


def test_patience_does_not_count_saves_within_an_epoch(data_bin, tmp_path):
    flags = ("--patience", "3", "--save-interval-updates", "20")
    refused(train(data_bin, tmp_path, *flags, succeeds=False), "--patience", "--validate-interval-updates")
    assert not files(tmp_path)
    train(data_bin, tmp_path, *flags, "--validate-interval-updates", "10", "--max-update", "20")


@pytest.mark.parametrize("replayed", [False, True])
def test_the_last_window_of_an_epoch_ends_it(data_bin, replayed):
    task, model, criterion, optimizer = training(data_bin, "qrnn_ptb", "--optimizer", "sgd", "--lr", "1")
    task.graphs = GraphedSteps(rerun, has_room=lambda: True) if replayed else None
    dataset = task.dataset("train")
    for epoch in (1, 2):
        windows = list(task.get_batch_iterator(dataset, max_sentences=4, epoch=epoch).next_epoch_itr())
        ends = []
        for window in windows:
            task.train_step(window, model, criterion, optimizer, 0)
            ends.append(task.ends_epoch)
        assert ends == [False] * (len(windows) - 1) + [True]
