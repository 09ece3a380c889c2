"""The range test runs the real training, stops where the loss diverges, and reads the curve correctly."""

import json
import math
import multiprocessing
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from recipes import lr_range
from recipes.range_test import RangeTest, suggest
from tests.helpers.runner import ROOT

SMALL = (
    "--cpu", "--arch", "qrnn_ptb", "--decoder-embed-dim", "12", "--decoder-hidden-size", "16",
    "--decoder-layers", "2", "--batch-size", "4", "--tokens-per-sample", "10", "--autocast", "bf16",
)  # fmt: skip


def recipe(data, out, *arguments):
    line = [sys.executable, "-m", "recipes.lr_range", data, *SMALL, "--out", out, *arguments]
    return subprocess.run([str(a) for a in line], cwd=ROOT, capture_output=True, text=True)


def test_a_range_is_covered_and_nothing_is_overwritten(data_bin, tmp_path):
    done = recipe(data_bin, tmp_path, "--lr-min", "0.01", "--lr-max", "10", "--updates", "40")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "lr_range.json").read_text())
    rates = [point["lr"] for point in result["points"]]
    assert not result["diverged"] and len(rates) == 40
    assert rates == pytest.approx([0.01 * 1000 ** (k / 39) for k in range(40)], rel=1e-4)
    for name, rate in result["suggestion"].items():
        assert f"{rate:.2g}  ({name})" in done.stdout
    assert len((tmp_path / "lr_range.txt").read_text().splitlines()) == 41
    assert (tmp_path / "lr_range.png").stat().st_size > 1000
    again = recipe(data_bin, tmp_path)
    assert again.returncode == 1 and "results of an earlier test" in again.stderr


def test_the_test_stops_where_the_loss_diverges(data_bin, tmp_path):
    flags = ("--lr-min", "0.1", "--lr-max", "1e12", "--updates", "100", "--clip-norm", "0")
    done = recipe(data_bin, tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    assert "the loss diverged" in done.stdout
    result = json.loads((tmp_path / "lr_range.json").read_text())
    assert result["diverged"] and len(result["points"]) < 100


def test_the_architecture_of_a_plug_in_is_trained_with_it(tmp_path):
    plugin = str(ROOT / "examples/gru_plugin")
    line = ["data", "--arch", "gru_ptb", "--user-dir", plugin, "--out", str(tmp_path)]
    command = lr_range.command_of(*lr_range.parse(line))
    assert command[1:6] == ["data", "--user-dir", plugin, "--arch", "gru_ptb"]


def test_an_error_of_training_is_shown(data_bin, tmp_path):
    done = recipe(data_bin, tmp_path, "--optimizer", "adam", "--tokens-per-sample", "0")
    assert done.returncode == 1 and "--tokens-per-sample is 0" in done.stderr
    assert "fairseq-train failed" in done.stderr and not (tmp_path / "lr_range.json").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--lr", "1"), "--lr-min and --lr-max"),
        (("--max-update=5",), "--updates"),
        (("--lr-min", "2", "--lr-max", "1"), "must be positive and below"),
        (("--updates", "3"), "at least"),
        (("--user-dir", "missing"), "missing is not a folder: give the folder of a plug-in"),
    ],
)
def test_wrong_flags_are_refused(tmp_path, capsys, flags, words):
    with pytest.raises(SystemExit):
        lr_range.parse(["data", "--arch", "qrnn_ptb", "--out", str(tmp_path), *flags])
    assert words in capsys.readouterr().err


def curve(loss_at, updates=200, low=1e-4, high=100.0):
    rates = [low * (high / low) ** (k / (updates - 1)) for k in range(updates)]
    test = RangeTest(low)
    for rate, following in zip(rates, [*rates[1:], high], strict=True):
        if not test.diverged:
            test.add(loss_at(rate), following)
    return test


def test_of_two_tests_in_one_folder_the_later_waits_and_is_refused(tmp_path, monkeypatch):
    context = multiprocessing.get_context("fork")
    both = context.Barrier(2)

    def trained(command, log, test):
        with open(log, "a") as file:
            file.write("$ fairseq-train\n")
        with suppress(threading.BrokenBarrierError):
            both.wait(3)  # the other one comes here in this time if nothing stops it
        test.points = curve(lambda rate: 9 - 3 / (1 + (rate / 0.1) ** -2) + (rate / 30) ** 4).points

    monkeypatch.setattr(lr_range, "run", trained)
    line = ["data", "--arch", "qrnn_ptb", "--out", str(tmp_path)]
    processes = [context.Process(target=lr_range.main, args=(line,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(process.exitcode for process in processes) == [0, 1]
    assert (tmp_path / "train.log").read_text() == "$ fairseq-train\n"


def test_the_suggestions_are_the_steepest_point_and_a_tenth_of_the_minimum():
    test = curve(lambda rate: 9 - 3 / (1 + (rate / 0.1) ** -2) + (rate / 30) ** 4)
    lowest = min(test.points, key=lambda point: point.smoothed).lr
    suggestion = suggest(test.points)
    assert test.diverged and 5 < lowest < 30
    assert suggestion["minimum / 10"] == pytest.approx(lowest / 10)
    assert 0.1 < suggestion["steepest"] < 0.3, "the smoothed loss follows with a delay"


def test_a_loss_that_never_falls_gives_no_suggestion():
    with pytest.raises(SystemExit, match="lower --lr-min"):
        suggest(curve(lambda rate: 9 + rate).points)


def test_a_constant_loss_is_smoothed_to_itself_and_nan_diverges():
    test = curve(lambda rate: 5.0 if rate < 1 else math.nan)
    assert test.diverged and test.points[-1].lr < 1
    assert [point.smoothed for point in test.points] == pytest.approx([5.0] * len(test.points))
