"""A run that diverges or runs out of memory stops with one sentence, and replaces no checkpoint."""

import pytest

from lm_plugins.errors import Refused
from lm_plugins.tasks.divergence import check_training_loss, check_validation_loss, count_above_uniform
from recipes.logs import logged
from tests.helpers.checkpoints import load
from tests.helpers.plugin import write_plugin
from tests.helpers.refusals import files, refused
from tests.helpers.runner import start_ranks, train

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("loss", [INF, -INF, NAN])
def test_a_loss_that_is_not_finite(loss):
    with pytest.raises(Refused, match="update 1,234 is"):
        check_training_loss(loss, 1234)
    with pytest.raises(Refused, match="validation loss is"):
        check_validation_loss(loss if loss > 0 else NAN)
    with pytest.raises(Refused, match="perplexity of inf"):
        check_validation_loss(1e4)


def test_epochs_above_the_uniform_distribution_are_counted_in_a_row():
    counts = [0]
    for loss in (9.0, 9.0, 7.9, 9.0, 8.05, 9.0, 9.0):
        counts.append(count_above_uniform(counts[-1], loss, vocabulary=256))
    assert counts[1:] == [1, 2, 0, 1, 0, 1, 2]
    with pytest.raises(Refused, match=r"8.00 bits\) at the end of 3 epochs"):
        count_above_uniform(2, 9.0, vocabulary=256)


def test_a_validation_loss_that_stays_above_the_uniform_distribution(data_bin, tmp_path):
    flags = ("--max-epoch", "9", "--no-epoch-checkpoints", "--lr", "3000")
    finished = train(data_bin, tmp_path, *flags, succeeds=False)
    refused(finished, "above that of guessing", "3 epochs")
    assert len(logged(finished.output, "train")) == 2, "the third epoch ended it"
    again = train(data_bin, tmp_path, *flags, succeeds=False)
    refused(again, "3 epochs")
    assert not logged(again.output, "valid"), "the epochs before the restart count"


def criterion(folder, body, message=""):
    """Return the flags of a criterion that runs `body` after each loss; ``fail`` raises with `message`."""
    source = f"""
import torch

def fail(*_, **__):
    raise RuntimeError({message!r})

@register_criterion("broken", dataclass=LMCrossEntropyConfig)
class Broken(LMCrossEntropy):
    windows = 0

    def forward(self, model, sample):
        loss, size, logged = super().forward(model, sample)
        self.windows += model.training
        {body}
        return loss, size, logged
"""
    return ("--user-dir", write_plugin(folder, source), "--criterion", "broken", "--no-epoch-checkpoints")


@pytest.mark.parametrize("name", ["loss", "reg"])
@pytest.mark.parametrize("update_freq", [1, 2])
def test_a_training_loss_that_is_not_finite_with_finite_gradients(data_bin, tmp_path, name, update_freq):
    body = f"if self.windows == {8 * update_freq}: logged['{name}'] = logged['{name}'] + float('inf')"
    flags = (*criterion(tmp_path, body), "--save-interval-updates", "5", "--update-freq", update_freq)
    finished = train(data_bin, tmp_path / "run", *flags, succeeds=False)
    refused(finished, "the training loss of update 8 is inf")
    assert load(tmp_path / "run/checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == 5


def test_a_loss_of_one_process_stops_both(data_bin, tmp_path):
    body = "if self.windows == 8 and sample['id'][0] > 0: logged['loss'] = logged['loss'] + float('inf')"
    runs = start_ranks(2, data_bin, tmp_path / "run", *criterion(tmp_path, body), "--batch-size", "2")
    for finished in [run.finish() for run in runs]:
        assert finished.status == 1
        assert "lm_plugins: error: the training loss of update 8 is inf" in finished.error()


@pytest.mark.parametrize(
    "body, message",
    [
        ("if self.windows == 4: fail()", "CUDA out of memory. Tried"),
        ("if self.windows == 4: fail()", "can't allocate memory: you tried"),
        ("if self.windows == 4: loss.register_hook(fail)", "can't allocate memory: you tried"),
        ("if not model.training: fail()", "CUDA out of memory. Tried"),
    ],
    ids=["forward", "forward on a CPU", "backward on a CPU", "validation"],
)
def test_memory_that_runs_out_in_a_window(data_bin, tmp_path, body, message):
    flags = criterion(tmp_path, body, message)
    finished = train(data_bin, tmp_path / "run", *flags, succeeds=False)
    refused(finished, "memory ran out in a window of 4 x 10 tokens", "--batch-size")
    assert not files(tmp_path / "run")


def test_another_error_in_a_window_stays_itself(data_bin, tmp_path):
    flags = criterion(tmp_path, "fail()", "shapes do not match")
    finished = train(data_bin, tmp_path / "run", *flags, succeeds=False)
    assert finished.error() == "RuntimeError: shapes do not match"


def test_memory_that_runs_out_elsewhere(data_bin, tmp_path):
    """Such as in the optimizer, whose state is made in the first update."""
    flags = criterion(tmp_path, "torch._foreach_add_ = fail", "CUDA out of memory. Tried")
    nt_asgd = ("--optimizer", "nt_asgd", "--lr", "1")
    finished = train(data_bin, tmp_path / "run", *flags, *nt_asgd, succeeds=False)
    refused(finished, "memory ran out: lower --batch-size")
    assert not files(tmp_path / "run")
