"""The report names what made its numbers, and leaves out what is damaged or belongs to another model."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys

import pytest

from recipes import environment, report
from recipes.experiment import recipe_of
from recipes.logs import epochs
from recipes.stages import begin, finish
from tests.helpers.runner import ROOT
from tests.helpers.training_log import COMMAND, epoch, line, started


@pytest.fixture
def experiment(tmp_path):
    """A training run with a restart at another commit, and its evaluation at a third one."""
    folder = tmp_path / "ptb" / "tiny"
    for name in ("logs", "checkpoints", "results/plain"):
        (folder / name).mkdir(parents=True)
    (folder / "checkpoints/checkpoint_best.pt").write_text("weights")
    first = COMMAND + started(0) + epoch(3600, 1)
    (folder / "logs/train.log").write_text(first + COMMAND + started(9000) + epoch(9900, 2))
    run = {"command": "recipes/ptb/lstm_small.sh", "hardware": "1 x CPU"}
    begin(folder, "train", {}, [{**run, "commit": "a" * 40}, {**run, "commit": "b" * 40}])
    for subset, perplexity in (("valid", 90.0), ("test", 80.0)):
        evaluate(folder, subset, perplexity, "weights")
        evaluated = {**run, "command": "recipes/ptb/lstm_small.sh --stage 4", "commit": "c" * 40}
        done(folder, f"plain-{subset}", {}, [evaluated])
    (folder / "environment.json").write_text(json.dumps({**run, "commit": "d" * 40}))
    return folder


def done(folder, stage, *facts):
    """Record a complete stage."""
    finish(folder, stage, begin(folder, stage, *facts))


def evaluate(folder, subset, perplexity, weights, kind="plain"):
    digest = hashlib.sha256(weights.encode()).hexdigest()
    content = {"perplexity": perplexity, "checkpoint": {"path": "elsewhere.pt", "sha256": digest}}
    (folder / f"results/{kind}/results-{subset}.json").write_text(json.dumps(content))


def test_commits_commands_and_hours_are_those_of_the_runs_that_made_the_numbers(experiment):
    row = report.row(experiment)
    assert row["commit"] == "aaaaaaa, bbbbbbb, ccccccc" and row["hardware"] == "1 x CPU"
    assert row["hours"] == "1.25" and row["valid"] == "90.00" and row["test"] == "80.00"
    lines = report.summary(experiment).splitlines()
    assert [text.split(None, 1)[1] for text in lines if text.startswith("command")] == [
        "recipes/ptb/lstm_small.sh", "recipes/ptb/lstm_small.sh --stage 4",
    ]  # fmt: skip
    assert "recipes/ptb/lstm_small.sh --exp" in report.next_commands(experiment)


def test_the_speed_is_the_median_of_the_epochs(experiment):
    log = experiment / "logs/train.log"
    begin, *of_epochs = log.read_text().split('"train_wps": "2000"')
    log.write_text(begin + '"train_wps": "1000"' + '"train_wps": "2000"'.join(of_epochs))
    assert report.row(experiment)["tokens/s"] == "1,500"


def test_split_tables_count_as_parameters(experiment):
    """fairseq logs those of the first of two processes apart from the others."""
    log = experiment / "logs/train.log"
    lines = (
        "num. shared model params: 1,004,000 (",
        "num. expert model params: 3928341 (num. trained: 3928341)",
    )
    log.write_text(log.read_text() + "".join(line(0, "fairseq_cli.train", text) for text in lines))
    assert report.row(experiment)["parameters"] == "4.9 M"
    log.write_text(log.read_text() + line(0, "fairseq_cli.train", "training on 2 devices (GPUs/TPUs)"))
    assert report.row(experiment)["parameters"] == "8.9 M"


def test_an_epoch_that_is_run_again_replaces_what_followed(tmp_path):
    """It is run again after a kill, from a checkpoint of two epochs before."""
    begin = COMMAND + started(0)
    first = begin + "".join(epoch(100 * number, number, train=100 + number) for number in (1, 2, 3))
    (tmp_path / "log").write_text(first + begin + epoch(100, 2, train=99))
    found = [(one["epoch"], one["train_ppl"], one["seconds"]) for one in epochs(tmp_path / "log", "train")]
    assert found == [(1, "101", 100), (2, "99", 400)]


def test_experiments_of_the_same_name_are_told_apart(experiment, tmp_path, capsys):
    copy = shutil.copytree(experiment, tmp_path / "other" / "ptb" / "tiny")
    evaluate(copy, "test", 70.0, "weights")
    (experiment / "curves.png").mkdir()
    report.main([str(experiment), str(copy)])
    shown = capsys.readouterr()
    assert [text.split()[0] for text in shown.out.splitlines()[1:3]] == [
        f"{tmp_path.name}/ptb/tiny",
        "other/ptb/tiny",
    ]
    assert "80.00" in shown.out and "70.00" in shown.out
    assert f"{experiment}/curves.png cannot be written (Is a directory): give --picture FILE" in shown.err


def test_the_hardware_is_that_which_trained(experiment, monkeypatch):
    """It is not all GPUs of the machine, and none with --cpu."""
    run = {"hardware": "8 x H100"}
    for processes, shown in (("1", "8 x H100, 1 process"), ("2", "8 x H100, 2 processes")):
        begin(experiment, "train", {}, [run], settings={"processes": processes})
        assert report.row(experiment)["hardware"] == shown
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "H100")
    assert environment.hardware(["ptb/qrnn.sh"]) == "8 x H100"
    assert "H100" not in environment.hardware(["ptb/qrnn.sh", "--cpu"])


def test_changed_files_mark_a_commit(experiment):
    run = {"commit": "e" * 40, "changed files": ["?? notes.txt"]}
    begin(experiment, "train", {}, [run, {**run, "changed files": ["M lm_plugins/hub.py", "?? notes.txt"]}])
    assert report.row(experiment)["commit"] == "eeeeeee, eeeeeee-dirty, ccccccc"


def test_published_numbers_are_those_of_the_architecture(experiment):
    log = experiment / "logs/train.log"
    assert recipe_of(experiment) is None, "lstm_small was typed, and the log is of qrnn_ptb"
    log.write_text(log.read_text().replace("qrnn_ptb", "lstm_small"))
    assert recipe_of(experiment) == ROOT / "recipes/ptb/lstm_small.sh"
    done(experiment, "plain-test", {}, [{"command": "python -m recipes.evaluate tiny data --plain"}])
    assert recipe_of(experiment) == ROOT / "recipes/ptb/lstm_small.sh"
    begin(experiment, "train", {}, [{"command": "./lstm_small.sh", "folder": "/elsewhere/recipes/ptb"}])
    assert recipe_of(experiment) == ROOT / "recipes/ptb/lstm_small.sh"


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"word_perplexity": 80.00000000001, "bpc": 1.5}, "80.00"),
        ({"word_perplexity": 310.456, "bpc": 1.5}, "310.46 per word"),
        ({"bpc": 1.5}, "1.500 bpc"),
        ({}, "80.00"),
    ],
    ids=["words", "pieces", "characters of unknown words", "unknown sizes"],
)
def test_a_cell_names_what_it_holds(experiment, capsys, more, shown):
    path = experiment / "results/plain/results-test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    report.main([str(experiment), "--markdown"])
    assert f"| 90.00 | {shown} |" in capsys.readouterr().out


def test_an_evaluation_that_did_not_end_again_is_left_out(experiment, capsys):
    begin(experiment, "plain-test", {"--tokens-per-sample": "5"}, [{}])
    row = report.row(experiment)
    assert row["valid"] == "90.00" and row["test"] == "-"
    assert "results-test.json is left out: the evaluation was started again" in capsys.readouterr().err


def test_fine_tuning_from_an_earlier_model_is_left_out(experiment, capsys):
    for name in ("finetuned", "results/finetuned"):
        (experiment / name).mkdir()
    (experiment / "finetuned/checkpoint_best.pt").write_text("tuned")
    evaluate(experiment, "test", 70.0, "tuned", "finetuned")
    base = hashlib.sha256(b"weights").hexdigest()
    for model, shown in ((base, "- / 70.00"), ("0" * 64, "-")):
        begin(experiment, "finetune", {"--finetune-from-model": model}, [{}])
        assert report.row(experiment)["+ fine-tuning"] == shown
    assert "was not fine-tuned from the current" in capsys.readouterr().err


def test_a_result_of_other_data_has_a_warning(experiment, capsys):
    begin(experiment, "train", {"data": "a"}, [{}])
    for subset, data in (("valid", "a"), ("test", "b")):
        done(experiment, f"plain-{subset}", {"data": data}, [{}])
    report.row(experiment)
    warned = capsys.readouterr().err
    assert "is a result on data other than the training data" in warned and warned.count("\n") == 1


def test_the_commit_is_that_of_this_repository(tmp_path, monkeypatch):
    """A copy that is not a repository is in the folder of another project."""
    for command in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "a"]):
        subprocess.run(
            ["git", "-C", tmp_path, *command, *["--allow-empty"] * (command[0] == "-c")], check=True
        )
    copy = tmp_path / "environment.py"
    copy.touch()
    monkeypatch.setattr(environment, "__file__", str(copy))
    assert environment.git("rev-parse", "HEAD") and environment.commit() is None
    subprocess.run(["git", "-C", tmp_path, "add", copy.name], check=True)
    assert environment.commit() == environment.git("rev-parse", "HEAD")


def test_an_experiment_of_an_earlier_version_has_one_environment(experiment):
    (experiment / "stages/train.json").unlink()
    assert report.row(experiment)["commit"] == "ddddddd, ccccccc"


def test_results_of_another_model_are_left_out(experiment, capsys):
    weights = hashlib.sha256(b"weights").hexdigest()
    (experiment / "sample.txt").write_text("a text")
    assert "a text" in report.sample(experiment), "of an earlier version"
    begun = begin(experiment, "sample", {"--checkpoint": weights}, [{}])
    assert report.sample(experiment) == "", "it is of an earlier model until the stage has finished"
    finish(experiment, "sample", begun)
    assert "a text" in report.sample(experiment)
    (experiment / "checkpoints/checkpoint_best.pt").write_text("trained further")
    row = report.row(experiment)
    assert row["valid"] == row["test"] == "-" and row["commit"] == "aaaaaaa, bbbbbbb"
    assert report.sample(experiment) == ""
    warned = capsys.readouterr().err
    assert "results-test.json does not belong to" in warned and warned.count("results-test") == 1


@pytest.mark.parametrize("content", ["", '{"perplexity": 8', "[80.0]", '{"targets": 7}', "\udcff"])
def test_a_damaged_result_is_left_out_with_a_warning(experiment, capsys, content):
    (experiment / "results/plain/results-test.json").write_text(content, errors="surrogateescape")
    report.main([str(experiment), "--markdown"])
    shown = capsys.readouterr()
    assert "| 90.00 | - |" in shown.out and "results-test.json" in shown.err
    assert shown.err.startswith("warning: ") and shown.err.count("\n") == 1


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_cut_short_is_left_out_with_a_warning(experiment, capsys, cut):
    log = experiment / "logs/train.log"
    text = log.read_text() + epoch(10000, 3)
    log.write_text(text[: -1 - cut])
    assert report.row(experiment)["epochs"] == "2"
    count = text.count("\n")
    assert f"warning: line {count} of {log} is cut short, and is left out\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        ("exp.json", "error: .*exp.json is not the name of a picture: give one that ends in .png"),
        ("picture", "is not the name of a picture"),
        ("folder.png", "error: .*folder.png is a folder: give the name of a file"),
        ("file/a.png", "error: .*/file cannot be written .it is a file"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_at_once(experiment, tmp_path, capsys, picture, sentence):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=sentence):
        report.main([str(experiment), "--picture", str(tmp_path / picture)])
    assert capsys.readouterr().out == ""


def test_it_ends_quietly_if_its_reader_has_ended(experiment):
    command = [sys.executable, "-m", "recipes.report", str(experiment)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGPIPE
