"""A grid is searched to its end, and its picture has every point."""

import json
import os
import platform
import shlex
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from recipes import samplers, search, search_trial, sweep
from tests.helpers.training_log import line, started

SPACE = {"--n-experts": [1, 3], "--output-rank": {"choices": [4, 8]}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a search with a formula in place of training, and returns its points."""

    def run(*flags, space=SPACE, name="study", trials=20):
        (tmp_path / "space.json").write_text(json.dumps(space))
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        (data / "dict.txt").touch()
        drawn = []

        def train(command, log, report):
            flags = dict(zip(command, command[1:], strict=False))
            k = int(flags.get("--n-experts", 0))
            drawn.append((k, flags.get("--output-rank")))
            bits = 7 + 1 / (k + 1)
            entries = [  # fairseq rounds the seconds of train_wall to whole ones
                (8, "train", {"epoch": 1, "train_train_wall": "0", "train_num_updates": "4"}),
                (10 + k, "valid", {"epoch": 2, "valid_loss": str(bits), "valid_ppl": str(2**bits)}),
                (10 + k, "train", {"epoch": 2, "train_train_wall": "0", "train_num_updates": "7"}),
            ]
            lines = (line(seconds, tag, json.dumps(values)) for seconds, tag, values in entries)
            log.write_text(started(0) + "".join(lines))
            pruned = report(1, bits)
            assert not (pruned and "grid" in sys.argv), "no point of a grid is pruned"
            return None if pruned else bits

        monkeypatch.setattr(search_trial, "train", train)
        clock = count(10, 2.5)  # asked twice for a trial
        monkeypatch.setattr(search_trial, "processor_seconds", clock.__next__)
        study = str(tmp_path / f"{name}.db")
        command = ["search", str(data), "--arch", "lstm_small", "--study", study, "--trials", str(trials)]
        monkeypatch.setattr(sys, "argv", [*command, *flags, "--space", str(tmp_path / "space.json")])
        search.main()
        return drawn

    return run


def test_a_grid_has_every_point_once_also_in_two_searches(run):
    """Its later points have higher losses, for which another sampler would prune them."""
    space = SPACE | {"--n-experts": {"choices": [3, 2, 1]}}
    first = run("--sampler", "grid", space=space, trials=4)
    second = run("--sampler", "grid", space=space)
    assert len(first) == 4 and len(second) == 2
    assert sorted(first + second) == [(k, rank) for k in (1, 2, 3) for rank in ("4", "8")]
    assert run("--sampler", "grid", space=space) == []


def test_a_point_whose_trial_failed_is_tried_again(tmp_path):
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"--n-experts": [1, 3]}))
    study = optuna.create_study()
    samplers.queue_grid(study, space)
    assert len(study.trials) == 3
    study.tell(study.ask(), 1.0)
    study.tell(study.ask(), state=TrialState.FAIL)  # as a search does that is stopped
    for _ in range(2):
        samplers.queue_grid(study, space)
        assert len(study.get_trials(states=(TrialState.WAITING,))) == 2


def test_the_point_of_a_killed_worker_is_tried_again(tmp_path):
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"--n-experts": [1, 2]}))
    study = optuna.create_study()
    samplers.queue_grid(study, space)
    killed = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True)
    for process in (int(killed.stdout), os.getpid()):
        study.ask().set_user_attr(samplers.WORKER, [platform.node(), process])
    samplers.fail_killed(study)
    samplers.queue_grid(study, space)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "RUNNING", "WAITING"]


def test_a_point_that_another_machine_left_running_is_named_and_can_be_tried_again(run, tmp_path, capsys):
    grid, space = {"--n-experts": [1, 2]}, tmp_path / "space.json"
    space.write_text(json.dumps(grid))
    study = optuna.create_study(study_name="lstm_small", storage=f"sqlite:///{tmp_path}/study.db")
    samplers.queue_grid(study, space)
    study.ask().set_user_attr(samplers.WORKER, ["node-a", 12])
    assert [k for k, _ in run("--sampler", "grid", space=grid)] == [2]
    sentence = capsys.readouterr().out.split("trial 0 ")[1].splitlines()[0]
    assert sentence.startswith("still counts as running, in process 12 on node-a: if that has ended, run `")
    programs = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(shlex.split(sentence.split("`")[1]), check=True, env=programs)
    assert [k for k, _ in run("--sampler", "grid", space=grid)] == [1]
    assert "still counts as running" not in capsys.readouterr().out


def test_two_workers_share_a_grid(tmp_path):
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"--n-experts": [1, 3]}))
    study, drawn = optuna.create_study(), []
    samplers.queue_grid(study, space)

    def train(trial):
        drawn.append(trial.suggest_int("--n-experts", 1, 3))
        if len(drawn) == 1:  # the second worker comes and does the rest, while the first one trains
            search.search(study, iter(ask, None), train)
        return TrialState.COMPLETE, 7.0, ""

    ask = partial(samplers.next_point, study, tmp_path / "study")
    search.search(study, iter(ask, None), train)
    assert sorted(drawn) == [1, 2, 3]


def test_a_typed_flag_is_not_a_dimension_of_a_grid(run):
    assert run("--sampler", "grid", "--output-rank", "8") == [(1, "8"), (2, "8"), (3, "8")]


def test_the_picture_of_a_swept_flag(run, tmp_path, capsys):
    run("--sampler", "grid", space={"--n-experts": {"choices": [5, 1, 3]}})
    run("--sampler", "grid", space={"--seed": [1, 1]}, name="plain")
    where = ["--arch", "lstm_small", "--picture", str(tmp_path / "k.png")]
    without = ["--without", str(tmp_path / "plain.db"), "--label", "softmax"]
    sweep.main([str(tmp_path / "study.db"), "--flag=--n-experts", *where, *without])
    assert (tmp_path / "k.png").stat().st_size > 5000
    written = json.loads((tmp_path / "k.json").read_text())
    assert [point["value"] for point in written["points"]] == [1, 3, 5]
    assert [point["seconds"] for point in written["points"]] == [11, 13, 15]
    assert written["points"][0]["valid_ppl"] == round(2**7.5, 2) and written["softmax"]["valid_ppl"] == 256
    sweep.main([str(tmp_path / "study.db"), "--flag=--n-experts", *where])  # replaces its own numbers
    assert "softmax" not in json.loads((tmp_path / "k.json").read_text())
    assert [point["processor_seconds"] for point in written["points"]] == [2.5] * 3
    assert (
        "--n-experts 5: valid ppl 143.68, 15.0 seconds of training and validation" in capsys.readouterr().out
    )
    with pytest.raises(SystemExit, match="no completed trial of .* has drawn --dropout"):
        sweep.main([str(tmp_path / "study.db"), "--flag=--dropout", *where])
    with pytest.raises(SystemExit, match="is not a study"):
        sweep.main([str(tmp_path / "none.db"), "--flag=--n-experts", *where])
    with pytest.raises(SystemExit, match="plain.db holds no study of --arch qrnn_ptb"):
        sweep.main([str(tmp_path / "plain.db"), "--flag=--seed", *where[:1], "qrnn_ptb", *where[2:]])
    (tmp_path / "plain/trial0/train.log").unlink()
    with pytest.raises(SystemExit, match="trial0/train.log is missing or holds no epoch"):
        sweep.main([str(tmp_path / "plain.db"), "--flag=--seed", *where])


@pytest.mark.parametrize("name", sorted(samplers.SAMPLERS.keys() - {samplers.GRID}))
def test_every_other_sampler_draws_from_the_space(run, name):
    drawn = run("--sampler", name, "--search-seed", "2", trials=12 if name == "gp" else 3)
    assert len(drawn) == (12 if name == "gp" else 3)  # gp draws its first 10 at random
    assert {k for k, _ in drawn} <= {1, 2, 3} and {rank for _, rank in drawn} <= {"4", "8"}


def test_a_gaussian_process_finds_a_minimum():
    study = optuna.create_study(sampler=samplers.sampler("gp", 1))
    study.optimize(lambda trial: (trial.suggest_float("x", -1, 1) - 0.3) ** 2, n_trials=16)
    assert study.best_value < 1e-3


def test_a_grid_of_real_numbers_is_refused(run):
    with pytest.raises(SystemExit, match=r"--lr has \[0.1, 1.0\]: give"):
        run("--sampler", "grid", space={"--lr": [0.1, 1.0]})
    with pytest.raises(SystemExit, match="give --space FILE"):
        samplers.queue_grid(optuna.create_study(), None)
