"""The demo's own command, with a model small enough for a test."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from preprocess.lock import LOCK
from recipes.demo import MARK, main, named
from tests.helpers.runner import ROOT

TINY = ("--max-epoch", "2", "--decoder-embed-dim", "8", "--decoder-hidden-size", "8", "--cpu")


def demo(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "recipes.demo", *map(str, arguments)],
        cwd=ROOT, text=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_the_demo_prints_a_table_and_keeps_its_figures(tmp_path):
    done = demo("--folder", tmp_path / "demo", *TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "demo/result.json").read_text())
    perplexity = result["test perplexity"]
    assert list(perplexity) == ["unigram", "interpolated bigram", "qrnn_small"]
    assert 1 < perplexity["interpolated bigram"] < perplexity["unigram"]
    assert len(result["validation perplexity by epoch"]) == 2
    assert f"{perplexity['qrnn_small']:.2f}" in done.stdout
    log = (tmp_path / "demo/logs/plain-test.log").read_text()
    assert f"{result['test tokens']:,} targets" in log
    preprocessed = (tmp_path / "demo/logs/preprocess.log").read_text()
    assert f"{result['test tokens']} tokens" in preprocessed, "the same tokens as the baselines"
    assert (tmp_path / "demo/curves.png").stat().st_size > 0
    assert "epoch 2 of 2          validation perplexity" in done.stdout
    written = (tmp_path / "demo/sample.txt").read_text().split()
    assert 30 < len(written) < 70 and " ".join(written[:5]) in " ".join(done.stdout.split())
    assert "\nnext:\n" in done.stdout and f"python -m recipes.sample {tmp_path / 'demo'}" in done.stdout
    assert (tmp_path / "demo/checkpoints/checkpoint_best.pt").exists()


@pytest.mark.parametrize("flag", ["--arch", "-a"])
def test_the_figures_have_the_name_of_the_model_that_is_trained(tmp_path, monkeypatch, flag):
    trained = []
    monkeypatch.setattr("recipes.demo.run", lambda folder, arch, flags: trained.append((arch, flags)))
    monkeypatch.setattr(sys, "argv", ["demo", "--folder", str(tmp_path), "--cpu", flag, "awd_lstm_small"])
    main()
    assert trained == [("awd_lstm_small", ["--cpu"])]


def test_the_checkpoints_stay_in_its_folder(tmp_path):
    done = demo("--folder", tmp_path / "demo", "--save-dir=elsewhere")
    assert done.returncode == 2 and "the demo sets --save-dir: give --folder instead" in done.stderr
    assert not (tmp_path / "demo").exists()


def test_a_step_that_fails_ends_the_demo(tmp_path):
    done = demo("--folder", tmp_path / "demo", *TINY, "--tokens-per-sample", "0")
    assert done.returncode == 1
    assert "--tokens-per-sample is 0" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: fairseq-train failed")


def test_its_commands_find_the_folder_from_where_they_run(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert named(ROOT / "exp/demo") == Path("exp/demo") and named(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert named(Path("demo")) == tmp_path / "demo" and named(ROOT / "exp") == ROOT / "exp"


def test_a_second_demo_waits_for_the_first(tmp_path, monkeypatch):
    context = multiprocessing.get_context("fork")
    both, folder = context.Barrier(2), tmp_path / "demo"
    folder.mkdir()
    (folder / LOCK).touch()  # as a demo leaves it that is killed at once

    def run(folder, arch, flags):
        assert sorted(path.name for path in folder.iterdir()) == [MARK, LOCK, "logs"]
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints/.lock").touch()
        with suppress(threading.BrokenBarrierError):
            both.wait(3)  # the other one comes here in this time if nothing stops it
        (folder / "checkpoints/checkpoint_best.pt").touch()

    def start(number):
        with open(tmp_path / f"{number}.txt", "w") as sys.stdout:
            main()

    monkeypatch.setattr("recipes.demo.run", run)
    monkeypatch.setattr(sys, "argv", ["demo", "--folder", str(folder)])
    processes = [context.Process(target=start, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    printed = "".join(path.read_text() for path in tmp_path.glob("*.txt"))
    assert printed.count("is being written by another process: waiting for it") == 1


@pytest.mark.parametrize("name", ["thesis.txt", ".hidden"])
def test_a_folder_with_other_files_is_left_untouched(tmp_path, name):
    (tmp_path / name).write_text("mine")
    done = demo("--folder", tmp_path)
    assert done.returncode == 1 and "holds files that the demo did not make" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
