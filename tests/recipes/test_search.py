"""The search draws from the space of an architecture's family, and tells a bad point from a broken run."""

import dataclasses
import functools
import json
import multiprocessing
import os
import subprocess
import sys
from functools import partial

import optuna
import pytest

from lm_plugins.architectures import ARCHITECTURES
from recipes import search, search_spaces, search_trial
from recipes.search_study import table
from recipes.search_trial import Failed, command_of, train
from tests.helpers.recipes import parsed
from tests.helpers.runner import ROOT

SPACE = {
    "--dropout": [0.1, 0.9],
    "--decoder-layers": [1, 3],
    "--lr": [0.1, 10.0, "log"],
    "--wdrop": {"choices": [1, 2]},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a search, in which `stand_in` takes the place of training."""
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dict.txt").write_text(f"{name} 1\n")
    monkeypatch.chdir(tmp_path)

    def run(stand_in, *flags, data="data", trials=6, study=tmp_path / "study.db", arch="qrnn_ptb"):
        line = [
            "search", data, "--arch", arch, "--study", str(study), "--trials", str(trials),
            "--space", str(tmp_path / "space.json"), "--search-seed", "1",
            "--max-epoch", "2",
            *flags,
        ]  # fmt: skip
        monkeypatch.setattr(search_trial, "train", stand_in)
        monkeypatch.setattr(sys, "argv", line)
        search.main()

    return run


def trials(folder):
    return optuna.load_study(study_name="qrnn_ptb", storage=f"sqlite:///{folder}/study.db").trials


def quadratic(command, log, tell):
    """The loss is a function of the drawn flags."""
    flags = dict(zip(command, command[1:], strict=False))
    assert (
        flags["--arch"] == "qrnn_ptb" and flags["--max-epoch"] == "2" and int(flags["--decoder-layers"]) < 4
    )
    bits = 5 + (float(flags["--dropout"]) - 0.4) ** 2
    return None if tell(1, bits) else bits


def test_a_search_continues_and_finds_the_best(run, tmp_path, capsys):
    for _ in range(2):
        run(quadratic)
    printed = capsys.readouterr().out
    rows = [text for text in printed.splitlines() if text.startswith("| ") and not text.startswith("| trial")]
    assert 6 < len(rows) <= 18
    perplexities = [float(text.split("|")[2]) for text in rows[-6:]]
    assert perplexities == sorted(perplexities)
    assert printed.count("trial ") >= 12 and f"picture: {tmp_path}/study.png" in printed
    assert (tmp_path / "study.png").exists() and (tmp_path / "study.importances.png").exists()
    command = printed.split("best: ")[-1].splitlines()[1].split()
    assert command[:2] == ["fairseq-train", "data"] and command.count("--max-epoch") == 1
    with pytest.raises(SystemExit, match="study.db was begun with different data: give the same"):
        run(quadratic, data="other")
    with pytest.raises(SystemExit, match="was begun with different flags"):
        run(quadratic, "--seed", "3")


def test_bad_data_stops_the_search_at_once(run, tmp_path):
    def bad(command, log, tell):
        raise Failed("lm_plugins: error: data has no subset 'valid': give a folder")

    with pytest.raises(SystemExit, match="error: the search stops .*: data has no subset"):
        run(bad)
    assert [trial.state.name for trial in trials(tmp_path)] == ["FAIL"]
    run(quadratic, data="other")  # nothing was compared yet


def test_a_trial_that_crashes_or_diverges_does_not(run, tmp_path, capsys):
    ends = iter(
        ["", "out of memory", "lm_plugins: error: the validation loss is nan: training has diverged", ""]
    )

    def uneven(command, log, tell):
        if reason := next(ends):
            raise Failed(reason)
        return quadratic(command, log, tell)

    run(uneven, trials=4)
    assert [trial.state.name for trial in trials(tmp_path)] == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    assert "trial 1: fail: out of memory\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"data": "missing"}, "error: missing holds no dict.txt: give a data folder"),
        ({"data": ""}, "error: .empty. holds no dict.txt"),
        ({"data": "data:missing"}, "error: missing holds no dict.txt"),
        ({"trials": 0}, "error: --trials is 0: it must be at least 1"),
        ({"study": "study"}, "error: --study study is not the name of a study: give one like .*.db"),
        ({"study": "study.png"}, "is not the name of a study"),  # the picture would overwrite it
        ({"study": "what?.db"}, "is not the name of a study"),
        ({"study": "data"}, "is not the name of a study"),
        ({"study": "space.json"}, "error: --study space.json is not a study .*: give a new file"),
        ({"study": "space.json/study.db"}, "error: space.json cannot be written"),
        ({"flags": ["--save-dir", "x"]}, "error: the search sets --save-dir: leave it out"),
        ({"flags": ["--no-save"]}, "error: the search sets --no-save"),
        ({"arch": "qrnn_pbt"}, "error: unknown --arch qrnn_pbt"),
    ],
)
def test_what_would_make_every_trial_fail_is_refused(run, tmp_path, arguments, sentence):
    with pytest.raises(SystemExit, match=sentence):
        run(quadratic, *arguments.pop("flags", []), **arguments)
    assert not (tmp_path / "study.db").exists() and not list(tmp_path.glob("*/trial*"))
    assert json.loads((tmp_path / "space.json").read_text()) == SPACE


def test_a_typed_flag_is_not_drawn(run, tmp_path):
    def train(command, log, tell):
        assert command.count("--dropout") == 1 and "0.25" in command
        return 5.0

    run(train, "--dropout", "0.25", trials=1)
    assert "--dropout" in (tmp_path / "space.json").read_text()
    assert trials(tmp_path)[0].params.keys() == SPACE.keys() - {"--dropout"}


def test_the_table_has_what_was_typed(tmp_path):
    """This also holds if the space draws under other names, and if a small number has an exponent."""
    study = optuna.create_study()
    options = type("Options", (), {"data": "data", "arch": "lstm_mos_bm", "user_dir": "lm_plugins"})
    draws = (
        search_spaces.described({"--lr": [3.14159e-5, 3.14159e-5]}),
        search_spaces.described({"--weight-decay": {"choices": [0.00012345]}}),
        search_spaces.of_arch("lstm_mos_bm", {"--n-experts": "3"}),
    )
    for draw in draws:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search_trial, "train", lambda command, log, report: 7.0)
            study.enqueue_trial({"window": 20, "streams": 10, "units": 500})
            trial = study.ask()
            study.tell(trial, search_trial.run(trial, options, [], draw, tmp_path)[1])
    printed = table(study)
    assert (
        "| 3.142e-05 |" in printed
        and "| 0.00012345 |" in printed
        and "--batch-size" in printed
        and "components" not in printed
    )


def test_a_continued_search_with_a_seed_draws_other_points(run, tmp_path):
    for _ in range(2):
        run(quadratic, "--sampler", "random", trials=3)
    assert len({trial.params["--dropout"] for trial in trials(tmp_path)}) == 6


def test_the_trials_of_two_studies_are_never_in_one_folder(run, tmp_path):
    run(quadratic, trials=1)
    with pytest.raises(SystemExit, match="study.db belongs to --arch qrnn_ptb, and the trials of both would"):
        run(quadratic, arch="awd_lstm_ptb")
    with pytest.raises(SystemExit, match="study holds the trials of another study: give another --study"):
        run(quadratic, study=tmp_path / "study.sqlite")
    with pytest.raises(SystemExit, match="--search-seed is -1: it must be at least 0"):
        run(quadratic, "--search-seed", "-1")


def test_an_interrupted_trial_is_not_left_running(run, tmp_path):
    def interrupted(command, log, tell):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted)
    assert [trial.state.name for trial in trials(tmp_path)] == ["FAIL"]


FORK = multiprocessing.get_context("fork")


def together(run, *workers):
    """Run searches in processes that start at the same moment, and return their exit statuses.

    None trains before each of the others has opened the study or was refused.
    """
    start, opened = FORK.Barrier(len(workers)), FORK.Barrier(len(workers))

    def worker(arguments):
        wait_for_all = functools.cache(partial(opened.wait, 60))

        def train(command, log, tell):
            wait_for_all()
            return quadratic(command, log, tell)

        start.wait(60)
        try:
            run(train, trials=2, **arguments)
        finally:
            wait_for_all()

    processes = [FORK.Process(target=worker, args=(arguments,)) for arguments in workers]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


@pytest.mark.parametrize("attempt", range(3))
def test_workers_that_start_together_share_a_new_study(run, tmp_path, monkeypatch, attempt):
    monkeypatch.setattr(search, "draw_pictures", lambda study, path: None)
    assert together(run, *4 * [{}]) == 4 * [0]
    assert [trial.number for trial in trials(tmp_path)] == list(range(8))


def test_a_worker_with_other_data_is_refused_while_the_first_trial_trains(run, tmp_path):
    def first_epoch(command, log, tell):
        with pytest.raises(SystemExit, match="was begun with different data"):
            run(quadratic, data="other")
        return quadratic(command, log, tell)

    run(first_epoch, trials=1)
    assert {trial.user_attrs["command"].split()[1] for trial in trials(tmp_path)} == {"data"}


@pytest.mark.parametrize("attempt", range(3))
def test_of_workers_with_different_data_that_start_together_one_is_refused(run, tmp_path, attempt):
    assert sorted(together(run, {"data": "data"}, {"data": "other"})) == [0, 1]
    assert len({trial.user_attrs["command"].split()[1] for trial in trials(tmp_path)}) == 1


def test_the_first_trial_of_a_killed_worker_is_not_compared(run, tmp_path):
    def killed(command, log, tell):
        os._exit(9)

    process = FORK.Process(target=run, args=(killed,))
    process.start()
    process.join(60)
    assert [trial.state.name for trial in trials(tmp_path)] == ["RUNNING"]
    run(quadratic, data="other", trials=1)
    assert [trial.state.name for trial in trials(tmp_path)] == ["FAIL", "COMPLETE"]


def logs(*bits, then="pass"):
    """A command that logs as fairseq does."""
    lines = [
        f"2026-01-01 00:00:00 | INFO | valid | {json.dumps({'epoch': epoch, 'valid_loss': str(loss)})}"
        for epoch, loss in enumerate(bits, 1)
    ]
    return [sys.executable, "-c", f"print({chr(10).join(lines)!r}, flush=True)\n{then}"]


def test_the_score_is_the_best_validation(tmp_path):
    told, log = [], tmp_path / "train.log"
    assert train(logs(6.0, 5.0, 5.5), log, lambda *entry: told.append(entry)) == 5.0
    assert told == [(1, 6.0), (2, 5.0), (3, 5.5)] and log.read_text().count("valid_loss") == 3
    endless = logs(6.0, 5.0, then="import time; time.sleep(600)")
    assert train(endless, log, lambda epoch, bits: epoch == 2) is None
    with pytest.raises(Failed, match="^error: no memory$"):
        train(logs(6.0, then="import sys; sys.exit('error: no memory')"), log, lambda *_: False)
    with pytest.raises(Failed, match="before its first validation"):
        train(logs(), log, lambda *_: False)


def learning_rate(arch):
    flags = ARCHITECTURES[arch].training_flags({}, [], 1)
    return float(flags["--lr"])


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES.keys() - set(search_spaces.THESIS)))
def test_the_space_of_a_family_holds_the_published_values(arch):
    from fairseq.models import ARCH_MODEL_REGISTRY

    import lm_plugins  # noqa: F401

    space = search_spaces.small() if arch in search_spaces.SMALL else search_spaces.published(arch, {})
    options = {field.name: field.default for field in dataclasses.fields(ARCH_MODEL_REGISTRY[arch].config)}
    dropouts = {name for name, default in options.items() if name.endswith("dropout") and default > 0}
    around = set() if arch in search_spaces.SMALL else {"--" + name.replace("_", "-") for name in dropouts}
    assert {"--lr", *around} <= space.keys()
    for flag, limits in space.items():
        value = learning_rate(arch) if flag == "--lr" else options[flag[2:].replace("-", "_")]
        if isinstance(limits, dict):
            assert value in limits["choices"]
        else:
            assert limits[0] <= value <= limits[1]
        assert not flag.endswith("dropout") or (limits[0] >= 0 and limits[1] <= 0.9)
    assert ("--decoder-hidden-size" in space) == (arch in search_spaces.SMALL)


@pytest.mark.parametrize("arch", ["awd_lstm_mos_ptb", "lstm_wt103", "qrnn_small", "lstm_mos_bmlg"])
def test_a_drawn_command_can_be_typed(arch, data_bin, tmp_path):
    typed = {"--dropout": "0.3"}
    draw = search_spaces.of_arch(arch, typed)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2)).ask()
    drawn = draw(trial)
    assert "--dropout" not in drawn
    options = type("Options", (), {"data": str(data_bin), "arch": arch, "user_dir": "lm_plugins"})
    args = parsed(command_of(options, ["--dropout", "0.3"], drawn, tmp_path))
    assert args.dropout == 0.3 and args.lr[0] == pytest.approx(drawn["--lr"], rel=1e-3)
    assert args.hidden_dropout == pytest.approx(drawn["--hidden-dropout"], rel=1e-3)


def test_the_architecture_of_a_plug_in(data_bin, tmp_path):
    sizes = "--cpu --decoder-embed-dim 12 --decoder-hidden-size 16 --batch-size 4 --tokens-per-sample 10"
    line = [
        sys.executable, "-m", "recipes.search", data_bin, "--arch", "gru_ptb",
        "--user-dir", "examples/gru_plugin", "--study", tmp_path / "study.db", "--trials", "1",
        "--max-epoch", "1", *sizes.split(),
    ]  # fmt: skip
    done = subprocess.run([str(word) for word in line], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "best: trial 0" in done.stdout and "--user-dir examples/gru_plugin" in done.stdout


def test_another_optimizer_has_its_own_learning_rates():
    for adam in ("adam", "torch_adam"):
        space = search_spaces.published("awd_lstm_ptb", {"--optimizer": adam})
        assert space["--lr"] == [3e-4, 1e-2, "log"]
    assert search_spaces.published("qrnn_ptb", {})["--lr"] == [
        10.0,
        40.0,
    ]
    assert search_spaces.published("qrnn_ptb", {"--optimizer": "sgd"})["--lr"] == [7.5, 120.0, "log"]
    sgd = {"--optimizer": "sgd"}  # whose rates are a thousand times those of the architecture's Adam
    with pytest.raises(SystemExit, match="no --lr of --optimizer sgd to search around: give --space"):
        search_spaces.published("qrnn_wt103", sgd)
    assert "--lr" not in search_spaces.published("qrnn_wt103", sgd | {"--lr": "20"})


@pytest.mark.parametrize(
    "text, part",
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"lr": [1, 2]}', 'lr: .1, 2. is none of "--flag"'),
        ('{"--lr": [2, 1]}', "--lr: .2, 1. is none of"),
        ('{"--lr": [0, 1, "log"]}', "is none of"),
        ('{"--lr": {"choices": []}}', "is none of"),
        ('{"--lr": {"choices": [[1], [2]]}}', "is none of"),
        ('{"--lr": {"choices": [1, 1]}}', "is none of"),
        ('{"--lr": {"choices": [1], "log": true}}', "is none of"),
        ('{"--lr": [NaN, 1]}', "is none of"),
        ('{"--lr": [1, 1e400]}', "is none of"),
        ('{"--lr": [1, 2, "linear"]}', "is none of"),
        ('{"--lr": ["1", "2"]}', "is none of"),
        ('{"--lr": [1]}', "is none of"),
        ('{"--lr": 1}', "is none of"),
        ('{"--": [1, 2]}', "is none of"),
        ('{"--lr": [1, 2], "--lr": [3, 4]}', "is not JSON: --lr occurs twice"),
        ('{"--save-dir": {"choices": ["a", "b"]}}', "the search sets --save-dir"),
        ("[" * 100000, "is not JSON"),
        ("\udcff", "is not JSON"),
    ],
)
def test_a_bad_space_is_explained_in_one_sentence(tmp_path, text, part):
    if text is not None:
        (tmp_path / "space.json").write_text(text, errors="surrogateescape")
    with pytest.raises(SystemExit, match=part):
        search_spaces.of_file(tmp_path / "space.json")


def test_the_thesis_s_space_is_that_of_its_table():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = []

    def run(trial):
        drawn.append(search_spaces.thesis(trial, {}))
        return 0.0

    study.optimize(run, n_trials=40)
    assert 5 < len(drawn) < 40, "some are too large"
    for flags in drawn:
        assert flags["--batch-size"] * flags["--tokens-per-sample"] * flags["--decoder-hidden-size"] <= 1.2e6
        assert 5 <= flags["--clip-norm"] * flags["--tokens-per-sample"] <= 10
        assert flags["--lr"] == flags["--tokens-per-sample"] and 2 <= flags["--n-experts"] <= 20

    typed = {"--tokens-per-sample": "64", "--batch-size": "10"}
    trial = study.ask()
    flags = search_spaces.of_arch("lstm_mos_bm", typed)(trial)
    assert flags["--lr"] == 64 and 5 <= flags["--clip-norm"] * 64 <= 10 and not flags.keys() & typed.keys()
    assert "window" not in trial.params and "streams" not in trial.params
    for size in ("1.5", "0"):
        with pytest.raises(SystemExit, match=f"--batch-size is {size}: give a positive whole number"):
            search_spaces.of_arch("lstm_mos_bm", {"--batch-size": size})
    large = {"--batch-size": "64", "--tokens-per-sample": "70"}
    with pytest.raises(SystemExit, match="--tokens-per-sample 70.* is above the 1.2 million of the thesis"):
        search_spaces.of_arch("lstm_mos_bm", large)
