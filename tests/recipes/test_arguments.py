"""The arguments of a recipe are understood or refused before anything is done."""

import fcntl
import multiprocessing
import os
import threading

import pytest

from lm_plugins.writer_lock import LOCK, lock_folder
from recipes.check_flags import check_not_training, hint
from tests.helpers.recipes import ROOT, commands, recipe

QRNN, PTB = ROOT / "recipes/text/qrnn.sh", ROOT / "recipes/ptb/lstm_small.sh"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--stage"], "--stage needs a value"),
        (["--stage", ""], "--stage needs a value"),
        (["--stage="], "--stage needs a value"),
        (["--exp", ""], "--exp needs a value"),
        (["--source", "--dry-run"], "--source needs a value"),
        (["--stage", "7"], "numbers from 1 to 6, not 7"),
        (["--stage", "99999999999999999999"], "numbers from 1 to 6"),
        (["--stop-stage=x"], "numbers from 1 to 6, not x"),
        (["--stage", "3", "--stop-stage", "2"], "--stage 3 is after --stop-stage 2"),
        (["--gpus", "0"], "must be numbers from 1 to 99999, not 0"),
        (["--nodes=-1"], "must be numbers from 1 to 99999, not -1"),
        (["mine.txt"], "mine.txt does not belong to an option: give files of the corpus as --source mine"),
        (["--save-dir", "x"], "sets --save-dir: give --exp FOLDER"),
        (["--save-dir=x", "--dropout", "0"], "sets --save-dir: give --exp FOLDER"),
        (["--dropout", "0", "--arch", "awd_lstm_ptb"], "the recipe sets --arch: leave it out"),
        (["-a", "awd_lstm_ptb"], "the recipe sets -a: leave it out"),
        (["--log-format", "simple"], "the recipe sets --log-format: leave it out"),
        (["--no-save"], "evaluates the checkpoint that it saves: leave out --no-save"),
        (["--distributed-world-size", "2"], "sets --distributed-world-size: give --gpus N"),
        (["--"], "-- is not an option"),
        (["--stage", "2", "--data", "nowhere"], "nowhere holds no dict.txt: begin with --stage 1"),
    ],
)
def test_one_sentence_and_status_2(arguments, sentence, tmp_path):
    for path in (PTB, QRNN):
        source = ["--source", "x.txt"] if path == QRNN else []
        run = recipe(path, *source, "--exp", tmp_path / "exp", *arguments)
        assert run.returncode == 2 and run.stdout == "", run.stdout
        assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1 and sentence in run.stderr
        assert not (tmp_path / "exp").exists()


def test_stages_that_need_what_is_not_there(tmp_path):
    (tmp_path / "dict.txt").touch()
    run = recipe(PTB, "--stage=4", "--data", tmp_path, "--exp", tmp_path / "exp")
    assert run.returncode == 2 and "checkpoint_best.pt: begin with --stage 2" in run.stderr
    run = recipe(QRNN, "--exp", tmp_path / "exp")
    assert run.returncode == 2 and "give the text as --source PATH" in run.stderr
    run = recipe(ROOT / "recipes/slurm.sh", PTB, SLURM_JOB_NODELIST="")
    assert run.returncode == 2 and "this is not a Slurm job" in run.stderr


def test_data_whose_preprocessing_was_interrupted_are_not_trained_on(tmp_path):
    """Some shards of gbw would be missing, and line ends of enwik8 would be targets."""
    for name in ("dict.txt", ".inputs"):
        (tmp_path / name).touch()
    run = recipe(PTB, "--stage=2", "--data", tmp_path, "--exp", tmp_path / "exp")
    assert run.returncode == 2 and f"{tmp_path} is incomplete, because its preprocessing was" in run.stderr


def test_a_data_bin_made_before_needs_no_text(tmp_path):
    """Its level decides whether there is a cache."""
    for level, cached in (("character", False), ("word", True)):
        (tmp_path / "text.json").write_text(f'{{"level": "{level}"}}')
        (tmp_path / ".complete").touch()
        lines = commands(QRNN, "--data", tmp_path, "--stage", "2")
        assert any("--cache-tune" in line for line in lines) == cached
    (tmp_path / "dict.txt").touch()
    exp = ("--data", tmp_path, "--exp", tmp_path / "exp", "--stage", "2")
    assert "has no subset 'train'" in recipe(QRNN, *exp).stderr, "and not that --source is missing"
    for typed, sentence in (
        (["--threshold", "3"], "need the text as --source PATH"),
        (["--level", "character"], "has the level word, not character: leave out --level"),
        (["--exp", tmp_path / "12:30"], "12:30 contains a colon or ${, which fairseq would interpret"),
    ):
        run = recipe(QRNN, *exp, *typed)
        assert run.returncode == 2 and sentence in run.stderr, run.stderr


def test_slurm_runs_the_stages_that_are_asked_for(tmp_path):
    for name, script in (("scontrol", "echo first"), ("srun", 'echo "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    job = {"PATH": path, "SLURM_JOB_NODELIST": "a,b", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8"}
    job["SLURM_JOB_ID"] = "1234567"
    nodes = "--nodes 2 --gpus 8 --rendezvous first:24567 --lr 3"
    for typed, expected in (
        ([], [f"--stage 2 --stop-stage 3 {nodes}", "--stage 4 --stop-stage 6 --lr 3"]),
        (["--stop-stage", "2"], [f"--stage 2 --stop-stage 2 {nodes}"]),
        (
            ["--stage=3", "--stop-stage=5"],
            [f"--stage 3 --stop-stage 3 {nodes}", "--stage 4 --stop-stage 5 --lr 3"],
        ),
        (["--stage", "5"], ["--stage 5 --stop-stage 6 --lr 3"]),
    ):
        done = recipe(ROOT / "recipes/slurm.sh", PTB, *typed, "--lr", "3", **job)
        assert done.returncode == 0, done.stderr
        assert [line.split(f"{PTB} ")[1] for line in done.stdout.splitlines()] == expected
    for typed in (["--stage", "x"], ["--stop-stage", "1"], ["--stage"]):
        done = recipe(ROOT / "recipes/slurm.sh", PTB, *typed, **job)
        assert done.returncode == 2 and done.stderr.startswith("error: --stage")


def test_an_unknown_option_is_found_before_anything_is_done(tmp_path):
    run = recipe(PTB, "--sorce", "x", "--data", tmp_path / "bin", "--exp", tmp_path / "exp")
    assert run.returncode == 2 and run.stdout == "", run.stdout
    sentence = "error: unrecognized arguments: --sorce x (did you mean --source?): see"
    assert run.stderr.splitlines()[-1].startswith(sentence) and "usage" not in run.stderr
    assert not (tmp_path / "bin").exists() and not (tmp_path / "exp").exists()
    assert hint("argument --lr: expected one argument", ["--lr"]) == ""


def test_options_of_a_text_reach_its_preprocessing(tmp_path):
    for arguments in (
        ["--source", "a/mine.txt.xz", "--level", "word", "--threshold=3", "--valid", "v", "--test", "t"],
        ["--source=a/mine.txt", "--level=sentencepiece", "--vocab-size=500", "--model-type=bpe"],
    ):
        preprocess, train = commands(QRNN, *arguments, "--lr=3")[:2]
        typed = [part for argument in arguments for part in argument.split("=")]
        assert sorted(preprocess[4:]) == sorted(typed)
        assert preprocess[3] == f"data-bin/text/mine-{preprocess[preprocess.index('--level') + 1]}"
        assert train[1] == preprocess[3] and "--lr=3" in train
    found = {}
    for source in ("x/mine.txt", "x/my text.txt", "x/texts", "shakespeare/train.txt.gz", "x/mine.v2.txt"):
        preprocess, train = commands(QRNN, "--source", source, "--level", "character")[:2]
        found[source] = preprocess[3].removeprefix("data-bin/text/").removesuffix("-character")
        assert train[train.index("--save-dir") + 1] == f"exp/text/{found[source]}-character-qrnn/checkpoints"
    assert list(found.values()) == ["mine", "my_text", "texts", "shakespeare", "mine.v2"]


def test_a_recipe_is_found_by_a_symlink_and_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "qrnn").symlink_to(QRNN)
    monkeypatch.chdir(tmp_path)
    preprocess = commands(tmp_path / "qrnn", "--source", "mine.txt", "--exp", "e")[0]
    assert preprocess[3:6] == ["data-bin/text/mine-word", "--source", str(tmp_path / "mine.txt")]
    (tmp_path / "my model.pt").touch()
    flags = ("--continue-once=my model.pt", "--restore-file", "my model.pt", "--tokens-per-sample", "5")
    train = commands(PTB, "--data", f"a:/b:{tmp_path}", "--stop-stage", "2", *flags)[1]
    assert train[1] == f"{tmp_path}/a:/b:{tmp_path}"
    model = str(tmp_path / "my model.pt")
    assert train[-7:-2] == [f"--continue-once={model}", "--restore-file", model, "--tokens-per-sample", "5"]


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path, capsys):
    """Otherwise the recipe would take the running log and record for those of an earlier run."""
    fork = multiprocessing.get_context("fork")
    locked, free = fork.Event(), fork.Event()

    def train():
        with lock_folder(tmp_path):
            locked.set()
            free.wait(60)

    process = fork.Process(target=train)
    process.start()
    assert locked.wait(60)
    with pytest.raises(SystemExit) as stop:
        check_not_training(str(tmp_path))
    assert stop.value.code == 2 and f"is writing to {tmp_path}: wait until" in capsys.readouterr().err
    free.set()
    process.join()
    check_not_training(str(tmp_path))
    check_not_training(str(tmp_path / "none"))


def test_the_nodes_of_a_run_may_look_at_the_same_time(tmp_path):
    """Each node does, before the first one trains; a lock that is only looked at keeps no training out."""
    fork = multiprocessing.get_context("fork")
    (tmp_path / LOCK).write_text("process 1 on here")
    looking, done = fork.Event(), fork.Event()

    def look():
        with open(tmp_path / LOCK) as file:
            fcntl.lockf(file, fcntl.LOCK_SH)
            looking.set()
            done.wait(60)

    process = fork.Process(target=look)
    process.start()
    assert looking.wait(60)
    check_not_training(str(tmp_path))
    assert (tmp_path / LOCK).read_text() == "process 1 on here"
    threading.Timer(0.05, done.set).start()
    lock_folder(tmp_path).close()
    process.join()
