"""A scheduler's signal saves and ends a training run, which then resumes as if nothing had happened."""

import os
import signal
import time

import pytest
from fairseq.logging import metrics

from tests.helpers.checkpoints import load, same_optimizer, same_weights
from tests.helpers.refusals import files, refused
from tests.helpers.runner import TINY, Run, start_ranks, train, train_ranks
from tests.helpers.tasks import training

AVERAGING = ("--optimizer", "nt_asgd", "--nonmono", "1", "--lr", "10")  # depends on each validation
EPOCHS = ("--max-epoch", "6", "--no-epoch-checkpoints", *AVERAGING)


def start(*arguments):
    return Run("train", *arguments[:1], "--arch", "awd_lstm_ptb", *TINY, "--save-dir", *arguments[1:])


def wait_for(text, run):
    while text not in run.output():
        assert run.process.is_alive(), run.output()
        time.sleep(0.01)


def updates(path):
    return load(path)["optimizer_history"][-1]["num_updates"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_it_saves_ends_by_the_signal_and_resumes_bitwise(data_bin, tmp_path, number):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(data_bin, whole, *EPOCHS)
    run = start(data_bin, stopped, *EPOCHS)
    for epoch in ("Start iterating over samples", "begin training epoch 2", "begin training epoch 3"):
        wait_for(epoch, run)
        os.kill(run.process.pid, number)
        finished = run.finish()
        assert finished.status == -number, finished.output  # 143 and 138 in a shell
        assert f"{number.name}: training ends after update" in finished.output
        assert "Traceback" not in finished.output
        saved = load(stopped / "checkpoint_last.pt")
        assert saved["cfg"]["optimization"]["max_update"] == 0
        assert not saved["cfg"]["dataset"]["disable_validation"]
        run = start(data_bin, stopped, *EPOCHS)
    assert run.finish().status == 0
    assert same_weights(whole / "checkpoint_last.pt", stopped / "checkpoint_last.pt")
    assert same_optimizer(whole / "checkpoint_last.pt", stopped / "checkpoint_last.pt")
    assert same_weights(whole / "checkpoint_best.pt", stopped / "checkpoint_best.pt")


def test_two_processes_stop_after_the_same_update(data_bin, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train_ranks(2, data_bin, whole, *EPOCHS)
    runs = start_ranks(2, data_bin, stopped, *EPOCHS)
    wait_for("begin training epoch 2", runs[0])
    os.kill(runs[1].process.pid, signal.SIGTERM)  # the other one is told by this one
    for run in runs:
        finished = run.finish()
        assert finished.status == -signal.SIGTERM and "Traceback" not in finished.output, finished.output
    assert 0 < updates(stopped / "checkpoint_last.pt") < updates(whole / "checkpoint_last.pt")
    train_ranks(2, data_bin, stopped, *EPOCHS)
    assert same_weights(whole / "checkpoint_last.pt", stopped / "checkpoint_last.pt")
    assert same_optimizer(whole / "checkpoint_last.pt", stopped / "checkpoint_last.pt")


def test_a_validation_that_is_due_is_made(data_bin, tmp_path):
    """With an interval of one update, each update is validated, and its checkpoint is kept."""
    run = start(data_bin, tmp_path, "--save-interval-updates", "1", "--no-epoch-checkpoints")
    wait_for("Saved checkpoint", run)
    os.kill(run.process.pid, signal.SIGTERM)
    assert run.finish().status == -signal.SIGTERM
    assert load(tmp_path / "checkpoint_last.pt")["extra_state"]["val_loss"] is not None


def test_a_complete_run_makes_no_further_update(data_bin, tmp_path):
    train(data_bin, tmp_path, "--max-update", "7")
    before = files(tmp_path)
    again = train(data_bin, tmp_path, "--max-update", "7")
    assert "training is complete: it has made 7 updates, and --max-update is 7" in again.output
    assert files(tmp_path) == before


def test_a_signal_in_the_last_update_leaves_the_last_validation(data_bin, monkeypatch):
    task, *parts = training(data_bin, "awd_lstm_ptb", "--max-update", "7")
    (window, *_) = task.get_batch_iterator(task.dataset("train"), max_sentences=4).next_epoch_itr()
    log = {**task.train_step(window, *parts, 0)[2], "stop": 1}
    stopped = []
    monkeypatch.setattr(task, "stop_after_this_update", lambda: stopped.append(task.updates))
    for task.updates in (6, 7):
        with metrics.aggregate():
            task.reduce_metrics([log], parts[1])
    assert stopped == [6]


def test_epochs_of_one_update_end_too(data_bin, tmp_path):
    """Each is validated every second time, and a rule depends on it."""
    flags = (*EPOCHS, "--max-epoch", "12", "--update-freq", "200", "--validate-interval", "2")
    train(data_bin, tmp_path / "whole", *flags)
    stopped = tmp_path / "stopped"
    run = start(data_bin, stopped, *flags)
    wait_for("begin training epoch 2", run)
    os.kill(run.process.pid, signal.SIGTERM)
    assert run.finish().status == -signal.SIGTERM
    assert 0 < updates(stopped / "checkpoint_last.pt") < 12
    train(data_bin, stopped, *flags)
    whole, resumed = (folder / "checkpoint_last.pt" for folder in (tmp_path / "whole", stopped))
    assert same_weights(whole, resumed) and same_optimizer(whole, resumed)
    assert len(load(resumed)["last_optimizer_state"]["history"]) == 6


def test_fine_tuning_ends_with_an_epoch(data_bin):
    """Within one, a resumed run trains on, and it has already ended where the checkpoint is that of one."""
    task, *parts = training(data_bin, "awd_lstm_ptb", "--optimizer", "nt_asgd", "--averaging", "always")
    windows = list(task.get_batch_iterator(task.dataset("train"), max_sentences=4).next_epoch_itr())
    task.train_step(windows[0], *parts, 0)
    parts[-1].finished = True
    for window in windows[1:]:
        task.train_step(window, *parts, 0)
    with pytest.raises(SystemExit) as end:
        task.train_step(windows[0], *parts, 0)
    assert end.value.code == 0


def test_the_hours_of_a_checkpoint_count(data_bin, tmp_path):
    limit = ("--stop-time-hours", "1e-6", "--disable-validation")
    train(data_bin, tmp_path / "first", *limit)
    before = files(tmp_path)
    again = train(data_bin, tmp_path / "first", *limit)
    assert "training is complete: it took" in again.output and files(tmp_path) == before
    tuning = ("--finetune-from-model", tmp_path / "first/checkpoint_last.pt")
    finished = train(data_bin, tmp_path / "second", *limit, *tuning, succeeds=False)
    refused(finished, "--stop-time-hours 1e-06 would end training at once")
    longer = ("--stop-time-hours", "9", "--max-update", "1")
    tuned = train(data_bin, tmp_path / "second", *limit, *tuning, *longer)
    assert "--stop-time-hours 9 includes the" in tuned.output


def test_ctrl_c_prints_no_traceback(data_bin, tmp_path):
    run = start(data_bin, tmp_path, "--max-epoch", "1000")
    wait_for("begin training epoch 2", run)
    os.kill(run.process.pid, signal.SIGINT)
    finished = run.finish()
    assert finished.status == 130 and "Traceback" not in finished.output, finished.output
    assert finished.error() == "lm_plugins: interrupted"
