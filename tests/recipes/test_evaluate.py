"""Several evaluations in one process: their order, their records, and what a failure leaves."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from recipes import evaluate
from tests.helpers.runner import ROOT

WITHOUT_READER = """
import sys
from pathlib import Path
from recipes import evaluate
from recipes.printing import say
from recipes.progress import show_error
input()  # until nobody reads what this process prints
say("one line")
show_error(["two lines"])
log = Path(sys.argv[1])
sys.exit(evaluate.in_fork(lambda: print("in the log"), log))
"""


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
    """Three stages that append their name to a file, and print and write it, in forks as the real ones."""
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_text("weights")
    monkeypatch.setattr(evaluate, "import_fairseq", lambda: None)

    def work(command):
        if (tmp_path / f"stop-{command[0]}").exists():
            exec((tmp_path / f"stop-{command[0]}").read_text())
        with open(tmp_path / "done", "a") as file:
            file.write(command[0])
        (tmp_path / f"outcome-{command[0]}").touch()
        print(f"WORK {command[0]}")

    monkeypatch.setattr(evaluate, "work", work)
    (tmp_path / "dict.txt").write_text("word 1\n")
    return [
        evaluate.Stage(
            name,
            checkpoint,
            str(tmp_path),
            [name, "x y", "--path", str(checkpoint)],
            tmp_path / f"outcome-{name}",
        )
        for name in "abc"
    ]


def run(tmp_path, stages, **environment):
    """Run the stages, and return the names of all that were run so far."""
    evaluate.run(tmp_path, stages, lambda: environment)
    return (tmp_path / "done").read_text()


def test_what_is_done_from_the_same_inputs_is_not_done_again(stages, tmp_path, capfd):
    assert run(tmp_path, stages, commit="1") == "abc"
    assert (tmp_path / "logs/b.log").read_text() == f"$ b 'x y' --path {stages[0].checkpoint}\nWORK b\n"
    stages[0].checkpoint.touch()
    assert run(tmp_path, stages, commit="2") == "abc"
    record = json.loads((tmp_path / "stages/b.json").read_text())
    assert record["complete"] and record["runs"] == [{"commit": "1"}], "what made the outcome"
    changed = stages[0]._replace(command=[*stages[0].command, "--flag"])
    assert run(tmp_path, [changed, *stages[1:]]) == "abca"
    stages[0].checkpoint.write_text("other weights")
    assert run(tmp_path, stages[1:]) == "abcabc"
    (tmp_path / "dict.txt").write_text("other 1\n")
    assert run(tmp_path, stages[1:]) == "abcabcbc"
    (tmp_path / "outcome-b").unlink()
    assert run(tmp_path, stages[1:]) == "abcabcbcb"


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
        run(tmp_path, stages)
    shown = capfd.readouterr()
    assert stopped.value.code == status and sentence in shown.err
    assert shown.err.endswith(f"the stage b failed with status {status}: see {tmp_path}/logs/b.log\n")
    assert (tmp_path / "done").read_text() == "a" and sentence in (tmp_path / "logs/b.log").read_text()
    os.remove(tmp_path / "stop-b")
    assert run(tmp_path, stages) == "abc"


def test_two_programs_do_not_evaluate_at_the_same_time(stages, tmp_path, capfd):
    """The nodes of a training run all end with the evaluations; the second finds them done."""
    free = tmp_path / "free"
    (tmp_path / "stop-a").write_text(
        f"import time\nwhile not os.path.exists({str(free)!r}): time.sleep(0.01)"
    )
    fork, printed = multiprocessing.get_context("fork"), ""
    nodes = [fork.Process(target=run, args=(tmp_path, stages)) for _ in range(2)]
    for node in nodes:
        node.start()
    while "is being written by another process: waiting for it" not in printed:
        assert all(node.is_alive() for node in nodes)
        printed += capfd.readouterr().out
    free.touch()
    for node in nodes:
        node.join(20)
    assert [node.exitcode for node in nodes] == [0, 0] and (tmp_path / "done").read_text() == "abc"
    assert capfd.readouterr().out.count("already done") == 3


def test_without_a_checkpoint_nothing_runs(stages, tmp_path):
    missing = [stage._replace(checkpoint=tmp_path / "none.pt") for stage in stages]
    with pytest.raises(SystemExit, match="there is no checkpoint .*none.pt: train the model first"):
        run(tmp_path, missing)


def test_a_stage_runs_after_the_reader_of_the_output_has_gone(tmp_path):
    """A reader is `head`, or a terminal that was closed while training ran."""
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_READER, tmp_path / "log"], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    process.stdout.close()
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.wait(20) == 0
    assert (tmp_path / "log").read_text() == "in the log\n"
