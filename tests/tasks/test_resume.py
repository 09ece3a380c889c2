"""A run is resumed with the options that it was started with, or with a statement of what differs."""

import shutil

import pytest
import torch
from fairseq.checkpoint_utils import save_checkpoint

from lm_plugins.errors import Refused
from lm_plugins.tasks.resume import COMPARED, DATA, differences
from lm_plugins.tasks.resumed_state import check_valid_text, resumed_text
from lm_plugins.tasks.starting_point import StartingPoint
from recipes.logs import logged
from tests.helpers.checkpoints import load, optimizer_state, same_weights
from tests.helpers.refusals import files, refused
from tests.helpers.runner import start_ranks, train, train_ranks
from tests.helpers.tasks import training

NT_ASGD = ("--optimizer", "nt_asgd", "--lr", "8", "--nonmono", "1", "--no-epoch-checkpoints")
TASK = "RecurrentLanguageModelingTask"


@pytest.fixture(scope="module")
def epoch(data_bin, tmp_path_factory):
    """The folder of a training run of one epoch."""
    folder = tmp_path_factory.mktemp("epoch")
    train(data_bin, folder, *NT_ASGD, "--max-epoch", "1")
    return folder


CHANGES = {
    ("--dropout", "0.9"): "--dropout 0.4 -> 0.9",
    ("--lr", "1"): "--lr 8.0 -> 1.0",
    ("--clip-norm", "5"): "--clip-norm 0.25 -> 5.0",
    ("--nonmono", "3"): "--nonmono 1 -> 3",
    ("--update-freq", "2,1"): "--update-freq 1 -> 2,1",
    ("--weight-decay", "0.1"): "--weight-decay 1.2e-06 -> 0.1",
    ("--ar-alpha", "7"): "--ar-alpha 2.0 -> 7.0",
    ("--averaging", "always"): "--averaging triggered -> always",
    ("--lr-scheduler", "multi_step", "--milestones", "1"): "--lr-scheduler fixed -> multi_step",
    ("--validate-interval", "2"): "--validate-interval 1 -> 2",
    ("--batch-size-valid", "3"): "--batch-size-valid 4 -> 3",
    ("--combine-valid-subsets",): "--combine-valid-subsets None -> True",
}


@pytest.mark.parametrize("flags", [[("--dropout", "0.9")], CHANGES], ids=["one", "all"])
def test_other_options_are_refused(data_bin, epoch, flags):
    """Each is named in the sentence."""
    before, typed = files(epoch), [word for words in flags for word in words]
    finished = train(data_bin, epoch, *NT_ASGD, "--max-epoch", "2", *typed, succeeds=False)
    named = ", ".join(sorted(CHANGES[words] for words in flags))
    refused(finished, "cannot resume", f" with changed options ({named}): ", "--accept-changes")
    assert files(epoch) == before


@pytest.mark.parametrize(
    "flags, changes",
    [
        (("--optimizer", "sgd", "--lr", "8"), ["--optimizer nt_asgd -> sgd"]),
        (("--optimizer", "torch_adam", "--lr", "8"), ["--optimizer nt_asgd -> torch_adam"]),
        (
            (*NT_ASGD, "--lr-scheduler", "plateau", "--criterion", "nce", "--nce-k", "5"),
            ["--lr-scheduler fixed -> plateau", "--criterion lm_cross_entropy -> nce"],
        ),
        (
            (*NT_ASGD, "--decoder-hidden-size", "20", "--decoder-layers", "3"),
            ["--decoder-hidden-size 16 -> 20", "--decoder-layers 2 -> 3"],
        ),
    ],
)
def test_another_kind_of_training_is_refused(data_bin, epoch, flags, changes):
    before = files(epoch)
    finished = train(data_bin, epoch, "--max-epoch", "2", "--no-epoch-checkpoints", *flags, succeeds=False)
    refused(finished, "cannot resume", *changes)
    assert files(epoch) == before


@pytest.mark.parametrize("accepted", [(), ("--accept-changes",)])
def test_the_best_value_of_another_metric_is_refused(data_bin, epoch, accepted):
    flags = (*NT_ASGD, "--max-epoch", "2", "--best-checkpoint-metric", "ppl", *accepted)
    finished = train(data_bin, epoch, *flags, succeeds=False)
    refused(finished, "a different --best-checkpoint-metric (loss -> ppl)", "--reset-meters")


def test_another_metric_begins_with_its_own_best_value(data_bin, epoch, tmp_path):
    restore = ("--restore-file", epoch / "checkpoint_last.pt", *NT_ASGD, "--max-epoch", "2")
    train(data_bin, tmp_path, *restore, "--best-checkpoint-metric", "ppl", "--reset-meters")
    extra = load(tmp_path / "checkpoint_best.pt")["extra_state"]
    assert extra["best"] == extra["val_loss"] > 20, "a perplexity"


def test_an_optimizer_state_that_was_not_saved_is_missed(data_bin, epoch, tmp_path):
    saved = load(epoch / "checkpoint_last.pt")
    del saved["last_optimizer_state"]
    torch.save(saved, tmp_path / "checkpoint_last.pt")
    flags = (*NT_ASGD, "--no-save-optimizer-state", "--max-epoch", "2")
    finished = train(data_bin, tmp_path, *flags, succeeds=False)
    refused(finished, "cannot resume", "--no-save-optimizer-state", "--reset-optimizer")


def test_a_data_folder_may_have_another_path():
    before, after = ({"lr_scheduler": {"_name": "fixed_by_pass", "data": path}} for path in ("a:b", "./a:b"))
    after = dict.fromkeys(COMPARED, {}) | after
    assert not list(differences(before, after, DATA))
    assert list(differences(before, after, set())) == ["--data a:b -> ./a:b"]


@pytest.mark.parametrize("reset", [(), ("--reset-dataloader",), ("--reset-meters",), ("--reset-optimizer",)])
def test_another_validation_text_is_refused(data_bin, epoch, tmp_path, caplog, monkeypatch, reset):
    monkeypatch.setattr(save_checkpoint, "best", None, raising=False)
    saved = load(epoch / "checkpoint_last.pt")["extra_state"][TASK]["valid_text"]
    flags = ("--accept-changes", *NT_ASGD, "--save-dir", str(epoch), *reset)
    cfg = training(data_bin, "awd_lstm_ptb", *flags)[0].cfg
    resumed = resumed_text(StartingPoint.read(cfg), TASK, cfg)
    other = saved | {"corpus": 7}
    check_valid_text(saved, resumed, cfg)
    for cfg.accept_changes, cfg.reset_meters in ((False, False), (True, False), (False, True)):
        with pytest.raises(Refused, match="another validation text .* with --accept-changes --reset-meters"):
            check_valid_text(other, resumed, cfg)
    cfg.accept_changes = cfg.reset_meters = True
    check_valid_text(other, resumed, cfg)
    assert f"another validation text than the {saved['tokens']:,} tokens" in caplog.text
    cfg.accept_changes = cfg.reset_meters = False
    if reset == ("--reset-optimizer",):
        cfg.save_dir, cfg.restore_file = str(tmp_path), str(epoch / "checkpoint_last.pt")
        start = StartingPoint.read(cfg)
        assert resumed_text(start, TASK, cfg) is None, "nothing is compared with its losses"


def test_a_validation_text_that_was_binarized_again_is_found(data_bin, epoch, tmp_path):
    changed = shutil.copytree(data_bin, tmp_path / "bin")
    for end in ("bin", "idx"):
        shutil.copy(data_bin / f"test.{end}", changed / f"valid.{end}")
    before = files(epoch)
    finished = train(changed, epoch, *NT_ASGD, "--max-epoch", "2", succeeds=False)
    refused(finished, "cannot resume with another validation text", "use the data folder of the checkpoint")
    assert files(epoch) == before


def test_a_changed_option_is_accepted_on_request(data_bin, epoch, tmp_path):
    restore = ("--restore-file", epoch / "checkpoint_last.pt", *NT_ASGD, "--max-epoch", "2")
    finished = train(data_bin, tmp_path, *restore, "--lr", "1", "--accept-changes")
    assert "changed options: --lr 8.0 -> 1.0" in finished.output
    assert float(logged(finished.output, "train")[-1]["train_lr"]) == 1
    train(data_bin, tmp_path, *NT_ASGD, "--lr", "1", "--max-epoch", "3")


def test_an_accepted_option_of_an_optimizer_of_torch_takes_effect(data_bin, tmp_path):
    flags = ("--optimizer", "sgd", "--lr", "1", "--disable-validation")
    train(data_bin, tmp_path, *flags, "--weight-decay", "0", "--max-update", "1")
    accepted = ("--weight-decay", "0.5", "--momentum", "0.5", "--accept-changes", "--max-update", "2")
    train(data_bin, tmp_path, *flags, *accepted)
    (group,) = optimizer_state(tmp_path / "checkpoint_last.pt")["param_groups"]
    assert (group["weight_decay"], group["momentum"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    "flags, phrases",
    [
        (("--criterion", "nce", "--nce-k", "5"), ("a different --criterion", "give --reset-optimizer")),
        (("--lr-scheduler", "plateau"), ("a different --lr-scheduler", "give --reset-lr-scheduler")),
        (("--decoder-hidden-size", "20"), ("do not fit the model (size mismatch for decoder", "the --arch")),
    ],
)
def test_what_does_not_fit_cannot_be_accepted(data_bin, epoch, flags, phrases):
    flags = (*NT_ASGD, "--max-epoch", "2", "--accept-changes", *flags)
    refused(train(data_bin, epoch, *flags, succeeds=False), str(epoch / "checkpoint_last.pt"), *phrases)


@pytest.mark.parametrize(
    "flags",
    [
        (*NT_ASGD, "--reset-lr-scheduler", "--lr", "1", "--lr-scheduler", "plateau"),
        (*NT_ASGD, "--reset-optimizer", "--lr", "1", "--nonmono", "3", "--dropout", "0.9"),
        ("--reset-optimizer", "--optimizer", "sgd", "--lr", "1"),
    ],
)
def test_what_is_reset_may_differ(data_bin, epoch, tmp_path, flags):
    train(data_bin, tmp_path, "--restore-file", epoch / "checkpoint_last.pt", "--max-epoch", "2", *flags)


@pytest.mark.parametrize("also, epochs", [((), []), (("--reset-dataloader",), [1])])
def test_another_optimizer_continues_in_the_epoch_unless_the_data_are_reset_too(
    data_bin, epoch, tmp_path, also, epochs
):
    flags = (*NT_ASGD, "--restore-file", epoch / "checkpoint_last.pt", "--max-epoch", "1")
    finished = train(data_bin, tmp_path, *flags, "--reset-optimizer", *also)
    assert [one["epoch"] for one in logged(finished.output, "train")] == epochs


def test_another_optimizer_does_not_replace_a_better_model(data_bin, epoch, tmp_path, monkeypatch):
    """fairseq would take the first validation for the best one so far."""
    monkeypatch.setattr(save_checkpoint, "best", None, raising=False)
    last = epoch / "checkpoint_last.pt"
    for flags in (("--save-dir", epoch, "--reset-meters"), ("--save-dir", tmp_path, "--restore-file", last)):
        training(data_bin, "awd_lstm_ptb", "--reset-optimizer", *map(str, flags))
        assert save_checkpoint.best is None, "wanted, or the folder has no such model"
    training(data_bin, "awd_lstm_ptb", "--reset-optimizer", "--save-dir", str(epoch))
    assert save_checkpoint.best == load(last)["extra_state"]["best"]
    metric = ("--save-dir", str(epoch), "--best-checkpoint-metric", "ppl")
    with pytest.raises(Refused, match=r"--best-checkpoint-metric \(loss -> ppl\).* --reset-meters"):
        training(data_bin, "awd_lstm_ptb", "--reset-optimizer", *metric)


@pytest.mark.parametrize("reset", ["--reset-lr-scheduler", "--reset-dataloader", "--reset-meters"])
def test_what_is_not_reset_may_not_differ(data_bin, epoch, tmp_path, reset):
    flags = (*NT_ASGD, "--restore-file", epoch / "checkpoint_last.pt", "--dropout", "0.9", reset)
    refused(train(data_bin, tmp_path, *flags, succeeds=False), "(--dropout 0.4 -> 0.9)")


def test_fine_tuning_may_differ_from_the_first_training(data_bin, epoch, tmp_path):
    flags = (*NT_ASGD, "--finetune-from-model", epoch / "checkpoint_last.pt", "--dropout", "0.9")
    train(data_bin, tmp_path, *flags, "--max-epoch", "1")
    train(data_bin, tmp_path, *flags, "--max-epoch", "2")
    finished = train(data_bin, tmp_path, *flags, "--max-epoch", "3", "--dropout", "0.8", succeeds=False)
    refused(finished, "(--dropout 0.9 -> 0.8)")


def test_options_that_change_nothing_are_not_compared(data_bin, epoch, tmp_path):
    flags = ("--restore-file", epoch / "checkpoint_last.pt", *NT_ASGD, "--max-epoch", "2")
    train(data_bin, tmp_path, *flags, "--log-interval", "3", "--save-interval-updates", "50")


def test_a_checkpoint_of_an_earlier_version_is_resumed(data_bin, epoch, tmp_path):
    saved = load(epoch / "checkpoint_last.pt")
    del saved["extra_state"][TASK]["above_uniform"], saved["extra_state"][TASK]["valid_text"]
    del saved["cfg"]["task"]["accept_changes"]
    del saved["cfg"]["model"]["init_range"], saved["cfg"]["lr_scheduler"]
    torch.save(saved, tmp_path / "checkpoint_last.pt")
    train(data_bin, tmp_path, *NT_ASGD, "--max-epoch", "2")
    train(data_bin, tmp_path / "whole", *NT_ASGD, "--max-epoch", "2")
    assert same_weights(tmp_path / "checkpoint_last.pt", tmp_path / "whole/checkpoint_last.pt")


def test_two_processes_compare_their_options(data_bin, tmp_path):
    flags = (*NT_ASGD, "--batch-size", "2")
    train_ranks(2, data_bin, tmp_path, *flags, "--max-epoch", "1")
    train_ranks(2, data_bin, tmp_path, *flags, "--max-epoch", "2")
    runs = start_ranks(2, data_bin, tmp_path, *flags, "--max-epoch", "3", "--dropout", "0.9")
    for finished in [run.finish() for run in runs]:
        assert finished.status == 1
        assert "--dropout 0.4 -> 0.9" in finished.error()
