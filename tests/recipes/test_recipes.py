"""Every recipe prints commands that fairseq understands, and one is run as a user would."""

import json
import shlex

import pytest

from lm_plugins.architectures import ARCHITECTURES
from recipes import report, tables
from recipes.experiment import published, recipe_of
from tests.helpers.recipes import RECIPES, ROOT, commands, parsed, recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: "/".join(path.parts[-2:]))
def test_what_it_would_run_is_parsed(path, tmp_path):
    found = commands(path, "--exp", tmp_path / "exp", "--max-epoch", "3", "--lr", "0.5")
    assert found[0][:2] == ["python", "-m"] and (ROOT / f"{found[0][2].replace('.', '/')}.py").exists()
    assert not (tmp_path / "exp").exists(), "a dry run leaves nothing"
    trainings = [parsed(command) for command in found if command[0] == "fairseq-train"]
    assert trainings and all(o.max_epoch == 3 and o.lr == [0.5] for o in trainings), "what is typed wins"
    assert all(f"arch={o.arch} " in path.read_text() and o.batch_size for o in trainings)
    evaluations = [parsed(command) for command in found if command[0] == "fairseq-eval-lm"]
    assert {o.gen_subset for o in evaluations} == {"valid", "test"}
    assert all(o.results_path.startswith(str(tmp_path)) for o in evaluations)


def test_launches_on_several_gpus_and_nodes():
    path = ROOT / "recipes/ptb/lstm_small.sh"
    (train,) = [c for c in commands(path, "--gpus", "1") if c[0] == "fairseq-train"]
    assert train[-2:] == ["--distributed-world-size", "1"], "not one process for each GPU of the machine"
    (train,) = [c for c in commands(path, "--gpus", "4") if c[0] == "torchrun"]
    assert train[1:5] == ["--nproc-per-node", "4", "--nnodes", "1"] and train[5].endswith("fairseq-train")
    nodes = ("--gpus", "8", "--nodes", "2", "--rendezvous", "host:29500")
    (train,) = [c for c in commands(path, *nodes) if c[0] == "torchrun"]
    assert train[3:9] == ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "host:29500"]
    for wrong, part in ((("--nodes", "2"), "needs --rendezvous"), (("--stage", "x"), "must be numbers")):
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
    assert other.returncode == 1 and "was made from a different source text" in other.stdout + other.stderr
    line = (path, *where, "--stop-stage", "4", "--stage", "4", "--gpus", "2", *TINY)
    again = recipe(*line)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert recipe(*line).stdout.count("already done: fairseq-eval-lm") == 2
    saved = json.loads((exp / "results/plain/results-test.json").read_text())
    assert saved["word_perplexity"] == pytest.approx(saved["perplexity"]) and saved["bpc"] > 0
    trained, evaluated = (
        json.loads((exp / f"stages/{name}.json").read_text())["runs"][-1] for name in ("train", "plain-test")
    )
    assert evaluated["hardware"] and evaluated["command"] == shlex.join(map(str, line))
    assert trained["command"] == shlex.join(
        map(str, (path, *where, "--stop-stage", "2", "--gpus", "2", *TINY))
    )
    row = report.row(exp)
    assert (
        row["recipe"] == "text/qrnn" and row["test"] == f"{saved['perplexity']:.2f}" and row["+ cache"] == "-"
    )
    assert row["epochs"] == "1" and row["arch"] == "qrnn_small" and (exp / "curves.png").stat().st_size > 1000
    assert (
        row["hardware"] == trained["hardware"] + ", 2 processes"
        and row["commit"][:7] == trained["commit"][:7]
    )
    table = again.stdout[again.stdout.index("text/qrnn: qrnn_small, ") :]
    assert f"{saved['word_perplexity']:.2f}\nbits per character" in table and "1 epoch in" in table
    assert (exp / "sample.txt").read_text().split()[0] in table and "--seed 2" in table
    assert all(len(line) < 100 for line in table[: table.index("curves  ")].splitlines())
    report.main([str(exp), "--markdown"])
    assert "| text/qrnn | qrnn_small |" in capsys.readouterr().out
    other = recipe(*line, "--dropout", "0.9")
    assert other.returncode == 1 and ", not 0.9, and these stages do not train it" in other.stderr
    refused = recipe(path, *where, "--stop-stage", "2", "--gpus", "2", *TINY, "--dropout", "0.9")
    assert refused.returncode == 1 and refused.stderr.splitlines()[-1] == (
        f"error: {exp}/checkpoints was trained without --dropout 0.9: give another folder as --exp FOLDER, "
        f"or remove {exp}/checkpoints to start over"
    )


def test_recipes_and_tables_repeat_the_architectures():
    written = [
        str(path.relative_to(ROOT)) for path, text in tables.files().items() if path.read_text() != text
    ]
    assert written == [], "python -m recipes.tables writes them"
    assert {ROOT / f"recipes/{one.path}.sh" for _, one in tables.recipes()} == {*RECIPES}
    assert ARCHITECTURES["lstm_small"].recipes[0].published.trained[1] == "114.5"
    assert "| `lstm_small`, Penn Treebank | 114.5 |" in (ROOT / "README.md").read_text()


def test_measured_columns_stay():
    old = "| recipe | a |\n| ptb/qrnn | x | x | x | x | 1.0 / 2.0 | - | 3 / 4 | |"
    row = next(line for line in tables.results(old).splitlines() if line.startswith("| ptb/qrnn"))
    assert row.endswith("| 51.4 / 50.5 | 1.0 / 2.0 | - | 3 / 4 | |")


def test_published_results_are_read_from_the_headers():
    assert published(ROOT / "recipes/ptb/qrnn.sh").startswith("trained 60.6 / 58.3; fine-tuned 59.1 / 56.7;")
    assert published(ROOT / "recipes/enwik8/awd_lstm.sh") == "trained - / 1.232 bpc"
    assert published(ROOT / "recipes/wt103/lstm.sh") == "trained 48.6 / -"
    assert published(ROOT / "recipes/text/qrnn.sh") == published(None) == ""
    with pytest.raises(SystemExit, match="is not the folder of an experiment"):
        report.main(["missing"])


def test_a_recipe_started_through_the_link_is_the_same(tmp_path):
    link = ROOT / "recipes/penn"
    assert link.is_symlink() and commands(link / "qrnn.sh") == commands(ROOT / "recipes/ptb/qrnn.sh")
    assert commands(link / "qrnn.sh")[0] == ["python", "-m", "preprocess.ptb", "data-bin/ptb"]
    mine = tmp_path / "penn" / "qrnn"
    mine.mkdir(parents=True)
    assert recipe_of(mine) == ROOT / "recipes/ptb/qrnn.sh"
    (mine / "environment.json").write_text(json.dumps({"command": "recipes/penn/lstm_small.sh --seed 2"}))
    assert recipe_of(mine) == ROOT / "recipes/ptb/lstm_small.sh"
    assert recipe_of(tmp_path) is None
