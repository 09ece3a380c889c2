"""--patience counts validations over the restarts of a run, and a run that it ended stays ended."""

import pytest

from lm_plugins.tasks.patience import Patience
from recipes.logs import logged
from tests.helpers.checkpoints import load, same_weights
from tests.helpers.refusals import files
from tests.helpers.runner import train, train_ranks

LAST = "checkpoint_last.pt"
# A rate that changes no loss, so that only the first validation is a new best one.
STALE = ("--lr", "1e-12", "--patience", "3", "--no-epoch-checkpoints")


def validations(output):
    return len(logged(output, "valid"))


@pytest.mark.parametrize("maximize", [False, True])
def test_an_equal_value_is_not_a_new_best(maximize):
    patience, counts = Patience(), []
    for value in (4.0, 5.0, 5.0, 3.0, 3.0, 6.0):
        patience.count(-value if maximize else value, maximize)
        counts.append(patience.stale)
    assert counts == [0, 1, 2, 0, 1, 2]
    resumed = Patience()
    resumed.load_state_dict(patience.state_dict())
    assert (resumed.best, resumed.stale) == (-3.0 if maximize else 3.0, 2)


def test_a_resumed_run_ends_after_the_same_validation(data_bin, tmp_path):
    whole = train(data_bin, tmp_path / "whole", *STALE, "--max-epoch", "9")
    assert validations(whole.output) == 4
    for epochs in (2, 3, 9):
        resumed = train(data_bin, tmp_path / "resumed", *STALE, "--max-epoch", epochs)
    assert validations(resumed.output) == 1
    assert "early stop since valid performance hasn't improved for last 3 runs" in resumed.output
    assert same_weights(tmp_path / "whole" / LAST, tmp_path / "resumed" / LAST)


def test_the_last_validation_of_a_resumed_run_is_saved(data_bin, tmp_path):
    flags = (*STALE, "--patience", "2", "--save-interval", "2")
    for epochs in (2, 9):
        train(data_bin, tmp_path, *flags, "--max-epoch", epochs)
    assert load(tmp_path / LAST)["extra_state"]["train_iterator"]["epoch"] == 4, "the third one has ended"


def test_a_new_run_from_the_weights_starts_counting_again(data_bin, tmp_path):
    flags = (*STALE, "--patience", "1")
    train(data_bin, tmp_path / "ended", *flags, "--max-epoch", "9")
    restore = ("--restore-file", tmp_path / "ended" / LAST, "--reset-optimizer", "--max-epoch", "9")
    assert validations(train(data_bin, tmp_path / "new", *flags, *restore).output) == 2


def test_an_ended_run_makes_no_further_update_until_it_is_given_more_patience(data_bin, tmp_path):
    train(data_bin, tmp_path, *STALE, "--max-epoch", "9")
    before = files(tmp_path)
    again = train(data_bin, tmp_path, *STALE, "--max-epoch", "9")
    assert "training is complete: 3 validations gave no new best" in again.output
    assert files(tmp_path) == before
    longer = train(data_bin, tmp_path, *STALE, "--max-epoch", "9", "--patience", "5")
    assert validations(longer.output) == 2


def test_a_validation_that_a_stop_causes_is_not_counted(data_bin, tmp_path):
    train(data_bin, tmp_path, *STALE, "--max-update", "7")
    resumed = train(data_bin, tmp_path, *STALE, "--max-epoch", "9")
    assert validations(resumed.output) == 4


def test_two_processes_end_after_the_same_validation(data_bin, tmp_path):
    for epochs in (3, 9):
        resumed = train_ranks(2, data_bin, tmp_path, *STALE, "--batch-size", "2", "--max-epoch", epochs)
    assert validations(resumed.output) == 1
    assert "early stop since valid performance hasn't improved for last 3 runs" in resumed.output
