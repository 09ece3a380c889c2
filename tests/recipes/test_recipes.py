"""Every recipe prints commands that fairseq understands, and one is run as a user would."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from fairseq import options

from recipes import report
from recipes.experiment import published

ROOT = Path(__file__).parents[2]
RECIPES = sorted(ROOT.glob("recipes/*/*.sh"))
PARSERS = {
    "fairseq-train": options.get_training_parser,
    "fairseq-eval-lm": options.get_eval_lm_parser,
}


def recipe(path, *arguments, **environ):
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environ}
    return subprocess.run([str(path), *map(str, arguments)], capture_output=True, text=True, env=environ)


def commands(path, *arguments):
    """What `path` would run, as lists of words."""
    run = recipe(path, "--dry-run", *arguments)
    assert run.returncode == 0, run.stderr
    return [shlex.split(line) for line in run.stdout.splitlines()]


def parsed(command):
    """The options of `command`, as fairseq's own parser reads them once the plug-in has completed them."""
    import lm_plugins  # noqa: F401
    from lm_plugins.completion import complete

    program, *arguments = complete(command)
    return options.parse_args_and_arch(PARSERS[program](default_task="language_modeling"), arguments)


def test_all_that_were_asked_for_are_there():
    names = {str(path.relative_to(ROOT / "recipes"))[:-3] for path in RECIPES}
    penn = {
        "awd_lstm",
        "qrnn",
        "awd_lstm_mos",
        "lstm_small",
        "lstm_medium",
        "lstm_large",
        "lstm_mos_bm",
        "lstm_mos_bmlg",
    }
    wanted = {f"penn/{name}" for name in penn} | {
        "penn_char/awd_lstm",
        "penn_char/qrnn",
        "wikitext-2/awd_lstm",
    }
    wanted |= {"wikitext-2/qrnn", "wikitext-2/awd_lstm_mos", "wikitext-103/qrnn", "wikitext-103/lstm"}
    wanted |= {
        "enwik8/awd_lstm",
        "text8/awd_lstm",
        "gbw/lstm_2x250",
        "gbw/lstm_4x2048",
        "text/awd_lstm",
        "text/qrnn",
    }
    assert names == wanted


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: "/".join(path.parts[-2:]))
def test_what_it_would_run_is_parsed(path, tmp_path):
    found = commands(path, "--exp", tmp_path / "exp", "--max-epoch", "3", "--lr", "0.5")
    assert found[0][:2] == ["python", "-m"] and (ROOT / f"{found[0][2].replace('.', '/')}.py").exists()
    assert not (tmp_path / "exp").exists(), "a dry run leaves nothing"
    trainings = [parsed(command) for command in found if command[0] == "fairseq-train"]
    assert trainings and all(o.max_epoch == 3 and o.lr == [0.5] for o in trainings), "what is typed wins"
    assert all(o.arch in path.read_text() and o.batch_size for o in trainings)
    evaluations = [parsed(command) for command in found if command[0] == "fairseq-eval-lm"]
    assert {o.gen_subset for o in evaluations} == {"valid", "test"}
    assert all(o.results_path.startswith(str(tmp_path)) for o in evaluations)


def test_launches_on_several_gpus_and_nodes():
    path = ROOT / "recipes/penn/lstm_small.sh"
    (train,) = [c for c in commands(path, "--gpus", "4") if c[0] == "torchrun"]
    assert train[1:5] == ["--nproc-per-node", "4", "--nnodes", "1"] and train[5].endswith("fairseq-train")
    nodes = ("--gpus", "8", "--nodes", "2", "--rendezvous", "host:29500")
    (train,) = [c for c in commands(path, *nodes) if c[0] == "torchrun"]
    assert train[3:9] == ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "host:29500"]
    for wrong, part in ((("--nodes", "2"), "needs --rendezvous"), (("--stage", "x"), "are numbers")):
        run = recipe(path, "--dry-run", *wrong)
        assert run.returncode == 2 and part in run.stderr


TINY = (
    "--cpu", "--max-epoch", "1", "--decoder-embed-dim", "12", "--decoder-hidden-size", "16",
    "--decoder-layers", "1", "--batch-size", "2", "--tokens-per-sample", "10", "--bptt-variation", "0",
)  # fmt: skip


def test_a_text_from_nothing_to_the_table_row_on_two_processes(corpus, tmp_path, capsys):
    path, exp = ROOT / "recipes/text/qrnn.sh", tmp_path / "text" / "qrnn"
    where = ("--data", tmp_path / "bin", "--exp", exp, "--source", corpus / "train.txt")
    begun = recipe(path, *where, "--stop-stage", "2", "--gpus", "2", *TINY)
    assert begun.returncode == 0, begun.stdout[-3000:] + begun.stderr[-3000:]
    assert (exp / "checkpoints/checkpoint_best.pt").exists() and not (exp / "results").exists()
    other = recipe(path, *where[:4], "--source", corpus / "test.txt", "--stop-stage", "1")
    assert other.returncode == 1 and "was made from another source text" in other.stdout + other.stderr
    line = (path, *where, "--stop-stage", "4", "--stage", "4", "--gpus", "2", *TINY)
    again = recipe(*line)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert recipe(*line).stdout.count("done before: fairseq-eval-lm") == 2
    (exp / "checkpoints/checkpoint_best.pt").touch()  # another model: its results are not those
    assert "done before: fairseq-eval-lm" not in recipe(*line).stdout
    saved = json.loads((exp / "results/plain/results-test.json").read_text())
    assert saved["word_perplexity"] == pytest.approx(saved["perplexity"]) and saved["bpc"] > 0
    environment = json.loads((exp / "environment.json").read_text())
    assert environment["hardware"] and environment["command"] == shlex.join(map(str, line))
    row = report.row(exp)
    assert (
        row["recipe"] == "text/qrnn" and row["test"] == f"{saved['perplexity']:.2f}" and row["+ cache"] == "-"
    )
    assert row["epochs"] == "1" and row["arch"] == "qrnn_small" and (exp / "curves.png").stat().st_size > 1000
    table = again.stdout[again.stdout.index("text/qrnn: qrnn_small, ") :]
    assert f"{saved['word_perplexity']:.2f}\nbits per character" in table and "1 epoch in" in table
    assert (exp / "sample.txt").read_text().split()[0] in table and "--seed 2" in table
    assert all(len(line) < 100 for line in table[: table.index("curves  ")].splitlines())
    report.main([str(exp), "--markdown"])
    assert "| text/qrnn | qrnn_small |" in capsys.readouterr().out


def test_published_numbers_are_in_the_headers():
    assert published(ROOT / "recipes/penn/qrnn.sh").startswith("valid 60.6 test 58.3 | finetuned")
    assert all(published(path) for path in RECIPES if path.parent.name not in ("text", "text8"))
    with pytest.raises(SystemExit, match="no folder of an experiment"):
        report.main(["missing"])
