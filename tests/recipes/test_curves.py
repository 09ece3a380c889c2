"""Logs of restarted training runs, and the curves drawn from them."""

import subprocess
import sys

import pytest

from recipes import curves, plots, report
from recipes.curve_table import write_table
from recipes.logs import epochs
from recipes.resuming import check_length
from tests.helpers.runner import ROOT
from tests.helpers.training_log import COMMAND, epoch, folders, line, started


def run_of(start, *ends):
    """A run that starts at `start`; ends: {seconds: epoch}."""
    return COMMAND + started(start) + "".join(epoch(*end) for end in ends)


@pytest.fixture
def experiment(tmp_path):
    """Two epochs, a kill in the third, a restart a day later, and a fine-tuning of two epochs."""
    folder = tmp_path / "ptb" / "tiny"
    (folder / "logs").mkdir(parents=True)
    killed = run_of(0, (100, 1), (200, 2)) + line(250, "train", '{"epoch": 3, "train_p')[:-1]
    resumed = run_of(86400, (86500, 3, 80.0, 60.0), (86600, 4, 70.0, 55.0))
    (folder / "logs/train.log").write_text(killed + resumed)
    (folder / "logs/finetune.log").write_text(run_of(0, (40, 1, 60.0, 52.0), (80, 2, 50.0, 51.0)))
    return folder


def test_time_sums_over_restarts_and_a_line_cut_short_is_left_out(experiment):
    entries = epochs(experiment / "logs/train.log", "train")
    assert [(one["epoch"], one["seconds"]) for one in entries] == [(1, 100), (2, 200), (3, 350), (4, 450)]
    assert epochs(experiment / "logs/none.log", "train") == []
    row = report.row(experiment)
    assert row["epochs"] == "4" and row["hours"] == f"{450 / 3600:.2f}"


def test_an_epoch_that_was_run_twice_counts_once(tmp_path):
    (tmp_path / "log").write_text(run_of(0, (100, 1), (200, 2)) + run_of(500, (600, 2, 1.0, 2.0)))
    entries = epochs(tmp_path / "log", "valid")
    assert [(one["valid_ppl"], one["seconds"]) for one in entries] == [("100.0", 100), ("2.0", 300)]


def test_epochs_are_passes_over_several_data_folders(experiment):
    """fairseq counts each of three folders as an epoch."""
    log = experiment / "logs/train.log"
    runs = run_of(0, (100, 1), (200, 2), (300, 3)), run_of(900, (1000, 4))
    log.write_text("".join(folders(0, 3, 2) + run for run in runs))
    assert [round(3 * one["epoch"]) for one in epochs(log, "train")] == [1, 2, 3, 4]
    assert report.row(experiment)["epochs"] == "1.33"
    assert "1.33 epochs in 7 min" in report.summary(experiment)
    curve = next(curve for curve in curves.curves(experiment) if curve.label == "fine-tuned, training")
    assert curve.epochs == pytest.approx([4 / 3 + 1, 4 / 3 + 2])
    log.write_text(log.read_text() + epoch(1200, 5) + epoch(1300, 6) + epoch(1400, 7))
    check_length(log, experiment, {"--max-epoch": "3"}, "")
    with pytest.raises(SystemExit, match="was trained for 2 epochs, more than --max-epoch 1"):
        check_length(log, experiment, {"--max-epoch": "1"}, "")


def test_fine_tuning_comes_after_the_training(experiment):
    found = {curve.label: curve for curve in curves.curves(experiment)}
    assert list(found) == ["training", "validation", "fine-tuned, training", "fine-tuned, validation"]
    assert found["validation"].epochs == [1, 2, 3, 4]
    assert found["fine-tuned, validation"].epochs == [5, 6]
    assert found["fine-tuned, validation"].seconds == [490, 530]
    assert found["fine-tuned, validation"].values == [52, 51]


def test_a_loss_is_not_a_perplexity(experiment):
    (experiment / "logs/train.log").write_text(COMMAND + started(0) + epoch(10, 1, 4.0, loss_only=True))
    quantities = {curve.label: curve.quantity for curve in curves.curves(experiment)}
    assert quantities["training"] == curves.LOSS and quantities["validation"] == curves.PERPLEXITY
    curves.draw({"one": curves.curves(experiment)}, experiment / "out.png", ("bigram", 90.0))
    assert (experiment / "out.png").stat().st_size > 1000


def test_the_table_has_the_values_of_the_log(experiment):
    """A killed epoch has none; the epochs of a fine-tuning are its own."""
    write_table({"a": experiment, "b": experiment}, experiment / "curves.tsv")
    header, *rows = [line.split("\t") for line in (experiment / "curves.tsv").read_text().splitlines()]
    assert len(rows) == 12 and [row[1:] for row in rows[:6]] == [row[1:] for row in rows[6:]]
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(row["stage"], row["epoch"], row["seconds"], row["valid_ppl"]) for row in table[1:5]] == [
        ("train", "2", "200", "100.0"),
        ("train", "3", "350", "60.0"),
        ("train", "4", "450", "55.0"),
        ("finetune", "1", "40", "52.0"),
    ]
    assert (table[4]["experiment"], table[4]["train_ppl"], table[4]["train_loss"]) == ("a", "60.0", "-")


def test_only_a_table_of_curves_is_replaced(experiment, tmp_path, capsys):
    """Data of the user may have the name of the picture."""
    data, picture = tmp_path / "data.tsv", ["--picture", str(tmp_path / "data.png")]
    data.write_text("word\tcount\n")
    with pytest.raises(SystemExit, match="data.tsv would be replaced, but this program did not write it"):
        report.main([str(experiment), *picture])
    assert data.read_text() == "word\tcount\n" and not (tmp_path / "data.png").exists()
    data.rename(experiment / "curves.tsv")
    report.main([str(experiment)])
    assert (experiment / "curves.tsv").read_text() == "word\tcount\n"
    assert "curves.tsv is not a table of learning curves, and is kept" in capsys.readouterr().err
    for _ in range(2):
        report.main([str(experiment), *picture])
    assert data.read_text().startswith("experiment\tstage\tepoch\tseconds\t")


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (48, 85, {"50", "60", "80"}),
        (34, 350, {"50", "60", "80", "200"}),
        (10, 1300, {"50", "100", "1,000"}),
        (1.1, 1.9, {"1.2", "1.5"}),
    ],
)
def test_ticks_are_plain_round_numbers(tmp_path, low, high, wanted):
    with plots.picture(tmp_path / "a.png") as figure:
        axes = figure.subplots()
        axes.plot([1, 2, 3], [high, (low + high) / 2, low])
        plots.log_scale(axes)
        plots.whole_numbers(axes)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert wanted <= set(labels) and not any("10^" in label for label in labels)
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_the_report_names_several_experiments_and_imports_no_torch(experiment):
    script = (
        "import sys; from recipes import report; report.main(sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    other, out = experiment.with_name("other"), experiment.parent / "both.png"
    other.mkdir()
    (experiment / "sample.txt").write_text("the market is a year\n")
    line = [sys.executable, "-c", script, experiment, other, "--picture", out]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [text.split() for text in done.stdout.splitlines()[:3]]
    assert rows[0] == ["arch", "parameters", "epochs", "hours"]
    assert rows[1] == ["ptb/tiny", "qrnn_ptb", "12.3", "k", "4", "0.12"]
    assert rows[2] == ["ptb/other", "-", "-", "-", "-"]
    assert out.stat().st_size > 1000 and out.with_suffix(".tsv").read_text().count("\n") == 7
    assert not (experiment / "curves.png").exists() and not (experiment / "curves.tsv").exists()
    assert f"the model writes ({experiment}/sample.txt):\n\n  the market is a year\n" in done.stdout
