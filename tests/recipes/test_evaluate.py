"""Several evaluations in one process: their order, their marks, and what a failure leaves."""

import os
import signal

import pytest

from recipes import evaluate


def planned(capsys, *arguments):
    evaluate.main(["exp", "data", "--dry-run", *arguments])
    return capsys.readouterr().out.splitlines()


def test_the_commands_and_their_checkpoints(capsys):
    lines = planned(capsys, "--plain", "--finetune", "--cache", "--dynamic=--dynamic-lr 1e-4", "--cpu")
    assert [line.split("--results-path exp/results/")[-1].split()[0] for line in lines[:-1]] == [
        "plain", "plain", "finetuned", "finetuned", "tuning", "cache", "cache", "dynamic", "dynamic",
    ]  # fmt: skip
    assert all(("exp/finetuned/" in line) == (number > 1) for number, line in enumerate(lines))
    assert lines[-1].startswith("python -m recipes.sample exp ") and all("--cpu" in line for line in lines)
    assert lines[-2].endswith("--dynamic-lr 1e-4") and len(planned(capsys, "--plain")) == 3


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Three stages that append their name to a file and print it, in forks as the real ones."""
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_text("weights")
    monkeypatch.setattr(evaluate, "import_fairseq", lambda: None)

    def work(command):
        if (tmp_path / f"stop-{command[0]}").exists():
            exec((tmp_path / f"stop-{command[0]}").read_text())
        with open(tmp_path / "done", "a") as file:
            file.write(command[0])
        print(f"WORK {command[0]}")

    monkeypatch.setattr(evaluate, "work", work)
    return [evaluate.Stage(name, checkpoint, [name, "x y"]) for name in "abc"]


def test_what_was_finished_is_not_done_again(stages, tmp_path, capfd):
    evaluate.run(tmp_path, stages)
    assert (tmp_path / "done").read_text() == "abc"
    assert (tmp_path / "logs/b.log").read_text() == "$ b 'x y'\nWORK b\n"
    evaluate.run(tmp_path, stages)
    assert (tmp_path / "done").read_text() == "abc"
    evaluate.run(tmp_path, [stages[0]._replace(command=["a", "z"]), *stages[1:]])
    assert (tmp_path / "done").read_text() == "abca"
    stages[0].checkpoint.write_text("other weights")
    evaluate.run(tmp_path, stages[1:])
    assert (tmp_path / "done").read_text() == "abcabc"


@pytest.mark.parametrize(
    ("stop", "status", "sentence"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("raise ValueError('no such flag')", 1, "ValueError: no such flag"),
        (f"os.kill(os.getpid(), {signal.SIGKILL.value})", 128 + signal.SIGKILL, ""),
    ],
)
def test_a_failure_ends_it_and_keeps_what_is_finished(stages, tmp_path, capfd, stop, status, sentence):
    (tmp_path / "stop-b").write_text(stop)
    with pytest.raises(SystemExit) as stopped:
        evaluate.run(tmp_path, stages)
    shown = capfd.readouterr()
    assert stopped.value.code == status and sentence in shown.err
    assert shown.err.endswith(f"the stage b failed with status {status}: see {tmp_path}/logs/b.log\n")
    assert (tmp_path / "done").read_text() == "a" and sentence in (tmp_path / "logs/b.log").read_text()
    os.remove(tmp_path / "stop-b")
    evaluate.run(tmp_path, stages)
    assert (tmp_path / "done").read_text() == "abc"


def test_without_a_checkpoint_nothing_runs(stages, tmp_path):
    missing = [stage._replace(checkpoint=tmp_path / "none.pt") for stage in stages]
    with pytest.raises(SystemExit, match="there is no checkpoint .*none.pt: train the model first"):
        evaluate.run(tmp_path, missing)
