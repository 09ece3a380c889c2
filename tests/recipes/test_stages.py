"""An outcome is decided by flags and by the content of the files read; only the same run is continued."""

import shutil

import pytest

from recipes.resuming import check_resumable, check_trained_with, has_begun
from recipes.run import is_of_another, set_aside
from recipes.stages import begin, differences, finish, inputs_of, is_done, runs
from tests.helpers.training_log import COMMAND, epoch, started


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dict.txt", "train.bin", "train.idx", "text.json"):
        (folder / name).write_text(name)
    return folder


def test_content_counts_and_places_do_not(data, tmp_path):
    (tmp_path / "a.pt").write_text("weights")
    (tmp_path / "b.pt").write_text("weights")
    command = ["fairseq-eval-lm", str(data), "--lr=3", "--cpu", "--path", str(tmp_path / "a.pt"), "--lr", "4"]
    inputs = inputs_of([*command, "--save-dir", "x"], str(data))
    assert inputs["--lr"] == "4" and inputs["--cpu"] is None and "--save-dir" not in inputs
    moved = shutil.copytree(data, tmp_path / "moved")
    again = [word.replace("a.pt", "b.pt") for word in command] + ["--save-dir=y"]
    assert inputs_of(again, str(moved)) == inputs
    (tmp_path / "b.pt").write_text("others!")
    assert differences(inputs, inputs_of(again, str(moved))) == ["from a different --path"]
    for name, kind in (("train.bin", "data"), ("dict.txt", "data"), ("text.json", "text")):
        other = shutil.copytree(data, tmp_path / f"with-{name}")
        (other / name).write_text("other")
        assert differences(inputs, inputs_of(command, str(other))) == [f"on different {kind}"]


def test_differences_are_named():
    before, now = {"--a": "1", "--b": None, "--c": "x"}, {"--a": "2", "--c": "x", "--d": None}
    assert differences(before, now) == ["with --a 1, not 2", "with --b", "without --d"]
    assert differences(before, before) == []


def test_a_stage_is_done_with_its_inputs_its_end_and_its_outcome(tmp_path, capsys):
    outcome, inputs = tmp_path / "results.json", {"--lr": "1"}
    outcome.touch()
    begun = begin(tmp_path, "plain-test", inputs, [{"commit": "1"}])
    assert not is_done(tmp_path, "plain-test", inputs, outcome), "killed"
    begin(tmp_path, "plain-test", {"--lr": "2"}, [{"commit": "2"}])  # another process, which is refused later
    finish(tmp_path, "plain-test", begun)
    assert is_done(tmp_path, "plain-test", inputs, outcome) and runs(tmp_path, "plain-test") == [
        {"commit": "1"}
    ]
    assert not is_done(tmp_path, "plain-test", {"--lr": "2"}, outcome)
    assert not is_done(tmp_path, "plain-test", inputs, tmp_path / "none")
    (tmp_path / "stages/plain-test.json").write_text('{"inputs": {"--l')
    assert not is_done(tmp_path, "plain-test", inputs, outcome)
    assert "stages/plain-test.json is cut short or damaged, and is left out" in capsys.readouterr().err


SETTINGS = {"--lr": "1", "--max-epoch": "2", "--lr-scheduler": "fixed", "data": "a"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, None),
        ({"--max-epoch": "4"}, None),
        ({"--patience": "3", "--cpu": None}, None),
        ({"--max-epoch": "1"}, "was trained for 2 epochs, more than --max-epoch 1"),
        ({"--max-update": "70"}, "was trained for 100 updates, more than --max-update 70"),
        ({"--lr": "2"}, "was trained with --lr 1, not 2"),
        ({"data": "b"}, "was trained on different data"),
        ({"--dropout": "0.5"}, "was trained without --dropout 0.5"),
        (
            {"--lr-scheduler": "cosine", "--max-epoch": "4"},
            "was trained with --lr-scheduler fixed, not cosine",
        ),
    ],
)
def test_a_run_is_continued_only_with_the_same_flags_for_longer(tmp_path, change, sentence):
    folder = tmp_path / "checkpoints"
    begin(tmp_path, "train", SETTINGS, [{}], settings=SETTINGS)
    (tmp_path / "logs").mkdir()
    log = COMMAND + epoch(10, 1) + epoch(20, 2).replace('"50"', '"100"')
    (tmp_path / "logs/train.log").write_text(log)
    now = {**SETTINGS, **change}
    if sentence is None:
        check_resumable(tmp_path, "train", folder, now, now)
        return
    with pytest.raises(SystemExit, match=f"error: {folder} {sentence}.*: give another folder as --exp"):
        check_resumable(tmp_path, "train", folder, now, now)


def test_an_evaluation_names_no_flags_of_another_run(tmp_path):
    check_trained_with(tmp_path, {"--lr": "2"})  # nothing is known of an earlier version's
    begin(tmp_path, "train", {}, [{}], settings=SETTINGS)
    for typed in ({}, {"--lr": "1"}, {"--cpu": None, "--max-epoch": "9", "--lr": "1"}):
        check_trained_with(tmp_path, typed)
    with pytest.raises(
        SystemExit, match=f"error: {tmp_path} was trained with --lr 1, not 2, without --seed 2, and"
    ):
        check_trained_with(tmp_path, {"--lr": "2", "--seed": "2"})
    begin(tmp_path, "finetune", {}, [{}], settings={**SETTINGS, "--lr": "2"})
    check_trained_with(tmp_path, {"--lr": "2"})


def test_a_schedule_of_known_length_is_not_made_longer(tmp_path):
    begin(tmp_path, "train", SETTINGS, [{}], settings={**SETTINGS, "--lr-scheduler": "cosine"})
    longer = {**SETTINGS, "--max-epoch": "4"}
    with pytest.raises(SystemExit, match="was trained with --max-epoch 2, not 4: give"):
        check_resumable(tmp_path, "train", tmp_path, longer, {**longer, "--lr-scheduler": "cosine"})
    logging = {**SETTINGS, "--log-interval": "7", "--lr-scheduler": "cosine"}
    check_resumable(tmp_path, "train", tmp_path, logging, logging)


def test_a_run_without_a_record_is_not_continued(tmp_path):
    assert not has_begun(tmp_path)
    (tmp_path / "checkpoint_last.pt").touch()
    assert has_begun(tmp_path)
    with pytest.raises(SystemExit, match="holds a training run whose flags are unknown, because there is no"):
        check_resumable(tmp_path, "train", tmp_path, SETTINGS, SETTINGS)


def test_the_log_of_another_run_is_set_aside(tmp_path):
    log = tmp_path / "train.log"
    for text in ("first", "second"):
        log.write_text(text)
        set_aside(log)
    assert not log.exists() and (tmp_path / "train.2.log").read_text() == "second"


def test_a_log_with_epochs_of_removed_checkpoints_belongs_to_another_run(tmp_path):
    log = tmp_path / "train.log"
    assert not is_of_another(log, SETTINGS, SETTINGS) and is_of_another(log, None, SETTINGS)
    log.write_text(COMMAND + started(0))
    assert not is_of_another(log, SETTINGS, SETTINGS), "killed before its first checkpoint"
    log.write_text(COMMAND + started(0) + epoch(3600, 1))
    assert is_of_another(log, SETTINGS, SETTINGS)
