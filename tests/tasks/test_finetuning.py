"""Fine-tuning ends with the model that it began with, or with a better one."""

from pathlib import Path
from typing import Any

import pytest
from fairseq.checkpoint_utils import save_checkpoint
from fairseq.logging import metrics

from lm_plugins.errors import Refused
from lm_plugins.tasks.finetuning import FinetuningMixin
from recipes.logs import logged
from tests.helpers.checkpoints import load, optimizer_state, same_weights
from tests.helpers.plain_model import NO_DROPOUT
from tests.helpers.runner import Finished, train, train_ranks
from tests.helpers.tasks import training

BEST, LAST = "checkpoint_best.pt", "checkpoint_last.pt"
REGIME = ("--optimizer", "nt_asgd", "--nonmono", "2", *NO_DROPOUT)


@pytest.fixture(scope="module")
def trained(data_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Return the best checkpoint of a training run, and its validation loss in bits."""
    folder = tmp_path_factory.mktemp("trained")
    run = train(data_bin, folder, *REGIME, "--lr", "4", "--max-epoch", "4")
    return folder / BEST, min(losses(run))


def losses(run: Finished) -> list[float]:
    """Return the validation losses of a run."""
    return [float(one["valid_loss"]) for one in logged(run.output, "valid")]


def tune(data_bin: Path, trained: tuple[Path, float], folder: Path, *flags: str) -> Finished:
    """Fine-tune the trained model."""
    return train(data_bin, folder, *REGIME, "--finetune-from-model", trained[0], *flags)


@pytest.mark.parametrize("metric", ["loss", "ppl"])
def test_a_worse_model_does_not_replace_the_loaded_one_also_after_a_resume(
    metric: str, data_bin: Path, trained: tuple[Path, float], tmp_path: Path
) -> None:
    flags = ("--lr", "300", "--clip-norm", "100", "--best-checkpoint-metric", metric)
    run = tune(data_bin, trained, tmp_path, *flags, "--max-epoch", "1")
    assert min(losses(run)) > trained[1]
    said = run.output.split("the loaded model has a validation loss of ")[1].split()[0]
    assert float(said) == pytest.approx(trained[1], abs=1e-4)
    assert same_weights(tmp_path / BEST, trained[0]) and not same_weights(tmp_path / LAST, trained[0])
    again = tune(data_bin, trained, tmp_path, *flags, "--max-epoch", "2")
    assert "the loaded model" not in again.output and min(losses(again)) > trained[1]
    assert same_weights(tmp_path / BEST, trained[0])


def test_a_better_model_replaces_it(data_bin: Path, trained: tuple[Path, float], tmp_path: Path) -> None:
    run = tune(data_bin, trained, tmp_path, "--lr", "4", "--max-epoch", "2")
    assert min(losses(run)) < trained[1]
    assert not same_weights(tmp_path / BEST, trained[0])
    assert load(tmp_path / BEST)["extra_state"]["val_loss"] == pytest.approx(min(losses(run)))


def test_the_epoch_in_which_it_ends_is_trained_to_its_end_also_by_a_resumed_run(
    data_bin: Path, trained: tuple[Path, float], tmp_path: Path
) -> None:
    often = ("--averaging", "always", "--nonmono", "0", "--validate-interval-updates", "30")
    flags = (*often, "--lr", "300", "--clip-norm", "100", "--max-epoch", "3", "--no-epoch-checkpoints")
    tune(data_bin, trained, tmp_path, *flags, "--max-update", "100")
    assert optimizer_state(tmp_path / LAST)["finished"]
    resumed = tune(data_bin, trained, tmp_path, *flags)
    assert "training is complete: fine-tuning has ended" in resumed.output
    assert [one["epoch"] for one in logged(resumed.output, "train")] == [1]
    assert load(tmp_path / LAST)["extra_state"]["train_iterator"]["epoch"] == 2
    again = tune(data_bin, trained, tmp_path, *flags)
    assert "fine-tuning has ended" in again.output and not logged(again.output, "train")


def test_two_processes_keep_it_too(data_bin: Path, trained: tuple[Path, float], tmp_path: Path) -> None:
    flags = (*REGIME, "--finetune-from-model", trained[0], "--lr", "300", "--clip-norm", "100")
    train_ranks(2, data_bin, tmp_path, *flags, "--batch-size", "2", "--max-epoch", "1")
    assert same_weights(tmp_path / BEST, trained[0])


def test_the_metric_of_a_plug_in_is_compared_with_itself(
    data_bin: Path, trained: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_checkpoint, "best", None, raising=False)
    flags = ("--finetune-from-model", str(trained[0]), "--save-dir", str(tmp_path / "new"))
    task, model, criterion, _ = training(data_bin, "awd_lstm_ptb", *flags)
    task.load_dataset("valid")
    task.cfg.best_checkpoint_metric = "accuracy"  # typed with a criterion that does not log it, it is refused
    with pytest.raises(Refused, match="does not log --best-checkpoint-metric accuracy: choose from .*loss"):
        FinetuningMixin.begin_epoch(task, 1, model)

    class Accurate(type(criterion)):
        @classmethod
        def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
            super().reduce_metrics(logging_outputs)
            metrics.log_scalar("accuracy", 0.25)

    task.criterion.__class__ = Accurate
    FinetuningMixin.begin_epoch(task, 1, model)
    assert save_checkpoint.best == 0.25

    class Penalised(type(criterion)):
        @classmethod
        def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
            super().reduce_metrics(logging_outputs)
            metrics.log_scalar("loss", 99, weight=1e9)

    task.criterion.__class__, task.cfg.best_checkpoint_metric = Penalised, "ppl"
    FinetuningMixin.begin_epoch(task, 1, model)
    of_text = float(task.validation_meters(model)["nll_loss"].avg)
    assert save_checkpoint.best == 2**of_text < 2**10, "and not of the penalised loss"


def test_nothing_is_validated_without_validation(
    data_bin: Path, trained: tuple[Path, float], tmp_path: Path
) -> None:
    tune(data_bin, trained, tmp_path, "--disable-validation", "--max-epoch", "1")
    assert not (tmp_path / BEST).exists()
