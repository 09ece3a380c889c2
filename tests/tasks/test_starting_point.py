"""Training starts from a whole checkpoint: the one that was named, or the newest of --save-dir."""

import shutil
from types import SimpleNamespace

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.tasks.save_dir import prepare_save_dir
from lm_plugins.tasks.starting_point import (
    LAST,
    RESETS,
    check_starting_point,
    last_checkpoint,
    resumed_checkpoint,
    what_continues,
)
from tests.helpers.checkpoints import same_weights
from tests.helpers.refusals import files, refused
from tests.helpers.runner import TINY, Run, start_ranks, train, train_ranks


def options(**typed):
    unset = {
        "restore_file": LAST, "finetune_from_model": None, "continue_once": None, "checkpoint_suffix": "",
        "no_save": False, "no_last_checkpoints": False, "no_save_optimizer_state": False,
    }  # fmt: skip
    return SimpleNamespace(**{**unset, **dict.fromkeys(RESETS, False), **typed})


@pytest.mark.parametrize("name", ["restore_file", "finetune_from_model", "continue_once"])
def test_a_checkpoint_that_does_not_exist(name, tmp_path):
    torch.save({}, tmp_path / "there.pt")
    check_starting_point(options(**{name: str(tmp_path / "there.pt")}))
    check_starting_point(options())
    for path in (str(tmp_path / "none.pt"), ""):
        with pytest.raises(Refused, match=f"--{name.replace('_', '-')} .* does not exist"):
            check_starting_point(options(**{name: path}))


def test_a_suffix_is_part_of_the_names(tmp_path):
    """Without it, fairseq would train from scratch, or the options of a resumed run would not be compared."""
    for name in ("best-a.pt", "checkpoint_last-a.pt", "other.pt"):
        torch.save({}, tmp_path / name)
    named = options(restore_file=str(tmp_path / "best.pt"), checkpoint_suffix="-a")
    check_starting_point(named)
    assert resumed_checkpoint(named) == str(tmp_path / "best-a.pt")
    last = options(save_dir=str(tmp_path), checkpoint_suffix="-a")
    assert resumed_checkpoint(last) == last_checkpoint(last) == str(tmp_path / "checkpoint_last-a.pt")
    with pytest.raises(Refused, match="other-a.pt does not exist"):
        check_starting_point(options(restore_file=str(tmp_path / "other.pt"), checkpoint_suffix="-a"))


def test_a_last_checkpoint_that_is_not_continued_is_named(tmp_path, caplog):
    for name in ("other.pt", LAST):
        torch.save({}, tmp_path / name)
    for name in (LAST, "other.pt"):
        assert not caplog.messages
        prepare_save_dir(options(restore_file=str(tmp_path / name), save_dir=str(tmp_path))).close()
    assert f"{tmp_path / LAST} will be replaced, because --restore-file" in caplog.text


def test_it_says_which_command_continues():
    assert what_continues(options()) == "and the same command continues from there"
    again = options(restore_file="x.pt", reset_optimizer=True)
    assert "the same command without --restore-file and --reset-optimizer continues" in what_continues(again)
    assert "is not saved" in what_continues(options(no_save=True))
    assert "cannot be resumed" in what_continues(options(no_save_optimizer_state=True))


def test_fine_tuning_resets_by_itself(tmp_path):
    base = tmp_path / "base.pt"
    base.touch()
    with pytest.raises(Refused, match="implies --reset-optimizer"):
        check_starting_point(options(finetune_from_model=str(base), reset_optimizer=True))
    with pytest.raises(Refused, match="exclude each other"):
        check_starting_point(options(finetune_from_model=str(base), restore_file=str(base)))


def test_nothing_is_trained(data_bin, tmp_path):
    for flag in ("--restore-file", "--finetune-from-model"):
        finished = train(data_bin, tmp_path / "new", flag, tmp_path / "none.pt", succeeds=False)
        refused(finished, f"{flag} {tmp_path}/none.pt does not exist")
    assert not files(tmp_path)


@pytest.fixture(scope="module")
def whole(data_bin, tmp_path_factory):
    """A folder with checkpoint1, 2, 3, best and last."""
    folder = tmp_path_factory.mktemp("whole")
    train(data_bin, folder, "--max-epoch", "3")
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def flip(path):
    """Flip a bit in the middle of the file, where the weights are."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("others", [["checkpoint_best.pt"], ["checkpoint1.pt", "checkpoint2.pt"]])
@pytest.mark.parametrize("harm", [cut, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_the_newest_whole_checkpoint_replaces_a_last_one_that_was_being_copied(
    data_bin, whole, tmp_path, others, harm
):
    for name in others:
        shutil.copy(whole / "checkpoint2.pt", tmp_path / name)
    if "checkpoint1.pt" in others:
        shutil.copy(whole / "checkpoint1.pt", tmp_path / "checkpoint1.pt")
    shutil.copy(whole / "checkpoint2.pt", tmp_path / "checkpoint_last.pt")
    harm(tmp_path / "checkpoint_last.pt")
    (tmp_path / "checkpoint3.pt.tmp").touch()
    resumed = train(data_bin, tmp_path, "--max-epoch", "3")
    assert f"continues from {tmp_path / others[-1]} (" in resumed.output
    assert same_weights(whole / "checkpoint_last.pt", tmp_path / "checkpoint_last.pt")
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("is_replaced", [False, True])
@pytest.mark.parametrize("is_missing", [False, True])
def test_fine_tuning_continues_from_its_own_checkpoint_and_not_from_a_base(tmp_path, is_missing, is_replaced):
    def save(path, updates, base=None):
        history, cfg = [{"num_updates": updates}], {"checkpoint": {"finetune_from_model": base}}
        torch.save({"model": {}, "extra_state": {}, "optimizer_history": history, "cfg": cfg}, path)

    base, folder = tmp_path / "base.pt", tmp_path / "tuned"
    folder.mkdir()
    save(base, 5000)
    save(folder / "checkpoint1.pt", 60, base="elsewhere/base.pt")
    shutil.copy(base, folder / "checkpoint_best.pt")
    if is_replaced:
        save(base, 6000)
    if not is_missing:
        (folder / LAST).touch()
    prepare_save_dir(options(finetune_from_model=str(base), save_dir=str(folder))).close()
    assert (folder / LAST).read_bytes() == (folder / "checkpoint1.pt").read_bytes()
    for name in (LAST, "checkpoint1.pt"):
        (folder / name).unlink()
    prepare_save_dir(options(finetune_from_model=str(base), save_dir=str(folder))).close()
    assert not (folder / LAST).exists(), "the copy of the base is no fine-tuned model"


def test_a_named_checkpoint_is_continued_and_not_the_newest_one(whole, tmp_path):
    for name in ("checkpoint2.pt", "checkpoint3.pt"):
        shutil.copy(whole / name, tmp_path)
    named = options(continue_once=str(tmp_path / "checkpoint2.pt"), save_dir=str(tmp_path))
    prepare_save_dir(named).close()
    assert resumed_checkpoint(named) == str(tmp_path / "checkpoint2.pt") and not (tmp_path / LAST).exists()


def test_two_processes_continue_from_the_newest_whole_checkpoint(data_bin, tmp_path):
    newest = shutil.ignore_patterns("*2.pt", "*best.pt")
    train_ranks(2, data_bin, tmp_path / "whole", "--max-epoch", "2")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed", ignore=newest)
    cut(tmp_path / "killed/checkpoint_last.pt")
    resumed = train_ranks(2, data_bin, tmp_path / "killed", "--max-epoch", "2")
    assert resumed.output.count("continues from") == 1
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", tmp_path / "killed/checkpoint_last.pt")


def test_a_best_checkpoint_that_was_being_copied_is_repaired(data_bin, whole, tmp_path):
    for name in ("checkpoint1.pt", "checkpoint_best.pt"):
        shutil.copy(whole / "checkpoint1.pt", tmp_path / name)
    cut(tmp_path / "checkpoint_best.pt")
    train(data_bin, tmp_path, "--max-epoch", "1")
    assert same_weights(tmp_path / "checkpoint_best.pt", whole / "checkpoint1.pt")


@pytest.mark.parametrize("flag", [None, "--restore-file", "--finetune-from-model", "--continue-once"])
def test_a_flipped_bit_is_refused(data_bin, whole, tmp_path, flag):
    last = tmp_path / "checkpoint_last.pt"
    shutil.copy(whole / "checkpoint2.pt", last)
    flip(last)
    if flag is None:
        shutil.copy(whole / "checkpoint1.pt", tmp_path / "checkpoint_best.pt")
        refusal = train(data_bin, tmp_path, succeeds=False)
        refused(refusal, f"{last} is damaged", f"remove it to continue from {tmp_path}/checkpoint_best.pt")
    else:
        refused(train(data_bin, tmp_path / "new", flag, last, succeeds=False), f"{last} is damaged")
        assert not list((tmp_path / "new").glob("*.pt"))


def test_nothing_is_whole(data_bin, whole, tmp_path):
    shutil.copy(whole / "checkpoint2.pt", tmp_path / "checkpoint_last.pt")
    cut(tmp_path / "checkpoint_last.pt")
    before = files(tmp_path)
    refused(train(data_bin, tmp_path, succeeds=False), "is cut short, and no other", "empty --save-dir")
    assert files(tmp_path).items() >= before.items()


def test_a_folder_has_one_writer(data_bin, tmp_path):
    endless = ("--max-epoch", "100000", "--no-epoch-checkpoints")
    first = Run("train", data_bin, "--arch", "awd_lstm_ptb", *TINY, "--save-dir", tmp_path, *endless)
    try:
        while "begin dry-run validation" not in first.output():
            assert first.process.is_alive(), first.output()
        second = train(data_bin, tmp_path, succeeds=False)
        refused(second, f"process {first.process.pid} on ", f"is writing to {tmp_path}")
        ranks = [run.finish() for run in start_ranks(2, data_bin, tmp_path)]
        for rank in ranks:
            assert rank.status != 0 and "is writing to" in rank.output
    finally:
        first.process.kill()
        first.process.join()
    train(data_bin, tmp_path, "--max-epoch", "1", "--reset-dataloader", "--max-update", "1")
