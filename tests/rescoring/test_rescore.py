"""python -m lm_plugins.rescore, from the lists to the files."""

import io
import json
import os
import runpy
import sys

import pytest

from lm_plugins.ensembles import load_ensemble
from lm_plugins.errors import Refused
from lm_plugins.rescore import main
from lm_plugins.rescoring.nbest import Hypothesis, NBest
from lm_plugins.rescoring.results import Rescored
from lm_plugins.rescoring.totals import list_scores
from tests.helpers.runner import ROOT, train

pytest.importorskip("jiwer")


@pytest.fixture(scope="module")
def checkpoint(data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    train(data_bin, folder, "--max-epoch", "1", "--no-epoch-checkpoints", "--disable-validation")
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def lists(corpus, tmp_path_factory):
    """Return the beginning of the names of the lists that the example makes."""
    out = tmp_path_factory.mktemp("nbest") / "dev"
    argv = sys.argv
    sys.argv = [
        "make_nbest.py",
        str(corpus / "valid.txt"),
        str(out),
        "--utterances",
        "40",
        "--hypotheses",
        "6",
    ]
    try:
        runpy.run_path(str(ROOT / "examples/make_nbest.py"), run_name="__main__")
    finally:
        sys.argv = argv
    return out


def test_searched_and_applied(checkpoint, lists, data_bin, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = ("--path", str(checkpoint), "--data", str(data_bin), "--cpu")
    nbest, references = f"{lists}.tsv", ("--references", f"{lists}.ref.tsv")
    main([nbest, *model, *references, "--tune", "search.json"])
    output = capsys.readouterr().out
    flags = output.split("best: ")[1].splitlines()[0].split()
    saved = json.loads((tmp_path / "search.json").read_text())
    assert flags == ["--alpha", f"{saved['alpha']:g}", "--beta", f"{saved['beta']:g}"]
    rates = saved["word_error_rate"]
    assert rates["oracle"] <= rates["rescored"] == min(p["word_error_rate"] for p in saved["grid"])
    assert rates["rescored"] < rates["first_pass"] and (tmp_path / "search.png").exists()

    files = ("--output", "best.tsv", "--rescored", "all.tsv", "--json", "results.json")
    main([nbest, *model, *references, *flags, *files])
    assert json.loads((tmp_path / "results.json").read_text())["word_error_rate"] == rates
    main([nbest, *model, *flags])
    best = capsys.readouterr().out.splitlines()[-40:]
    assert best == (tmp_path / "best.tsv").read_text().splitlines()

    rows = [line.split("\t") for line in (tmp_path / "all.tsv").read_text().splitlines()]
    assert [row[:2] for row in rows[::6]] == [line.split("\t") for line in best]
    lm = load_ensemble(str(checkpoint), str(data_bin))
    for utterance, text, first_pass, log_prob, words, total in rows[:12]:
        expected = lm.score([text], eos=True)[0].log_prob
        assert float(log_prob) == pytest.approx(expected, abs=1e-4) and int(words) == len(text.split())
        sum_of_three = float(first_pass) + saved["alpha"] * expected + saved["beta"] * int(words)
        assert float(total) == pytest.approx(sum_of_three, abs=1e-3) and utterance.startswith("utt")


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ((), "give --alpha and --beta, or search for them"),
        (("--alpha", "1", "--beta", "0,1"), "several values of --alpha or --beta need a search"),
        (("--alpha=-1", "--beta", "0"), "--alpha is -1.0: it must be at least 0"),
        (("--alpha", "x", "--beta", "0"), "--alpha is x: give one or more"),
        (("--tune", "search.json"), "give the references with --references FILE"),
        (("--alpha", "1", "--beta", "0", "--output", "in.tsv"), "would overwrite the n-best list"),
        (("--alpha", "1", "--beta", "0", "--output", "x", "--json", "./x"), "would overwrite --output"),
        (
            ("--alpha", "1", "--beta", "0", "--interpolate-ngram", "kn.arpa", "--json", "kn.arpa"),
            "--json kn.arpa would overwrite the n-gram model",
        ),
        (("--alpha", "1", "--beta", "0", "--output", "no/x"), "--output no/x cannot be written"),
        (("--references", "in.tsv", "--tune", "a.png"), "would overwrite --tune"),
        (("--alpha", "1", "--beta", "0", "--batch-size", "0"), "--batch-size is 0"),
        (
            ("--alpha", "1", "--beta", "0", "--output", "x"),
            "line 2 of in.tsv: the text holds the literal symbol",
        ),
        (("--alpha", "1", "--beta", "0", "--path", "missing.pt"), "there is no checkpoint missing.pt"),
    ],
)
def test_what_is_refused_writes_nothing(checkpoint, data_bin, tmp_path, monkeypatch, capsys, flags, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.tsv").write_text("u1\tw1 w2\t-1\nu1\tw1 <pad>\t-2\n")
    with pytest.raises(SystemExit) as stop:
        main(["in.tsv", "--path", str(checkpoint), "--data", str(data_bin), "--cpu", *flags])
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert output.err.startswith("lm_plugins: error: ") and sentence in output.err and not output.out
    assert [path.name for path in tmp_path.iterdir()] == ["in.tsv"]


def test_what_is_printed_is_utf_8(monkeypatch):
    """If the locale could not encode the hypotheses, they would be lost after all the work."""
    nbest = [NBest("u1", [Hypothesis("u1", "für 語", [0.0], "")])]
    rescored = Rescored(nbest, list_scores(nbest, [[-1.0]]), 0.0, 0.0, None, None)
    monkeypatch.setattr("lm_plugins.rescore.rescore", lambda options: (rescored, {}))
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    main(["in.tsv", "--path", "a.pt"])
    sys.stdout.flush()
    assert printed.getvalue().decode() == "u1\tfür 語\n"


def test_the_summary_is_printed_although_the_reader_has_ended(monkeypatch, capsys):
    nbest = [NBest("u1", [Hypothesis("u1", "w1", [0.0], "")])]
    rescored = Rescored(nbest, list_scores(nbest, [[-1.0]]), 0.0, 0.0, None, None)
    monkeypatch.setattr("lm_plugins.rescore.rescore", lambda options: (rescored, {}))
    monkeypatch.setattr("lm_plugins.rescoring.results.report", lambda rescored: ["summary"])
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        main(["in.tsv", "--path", "a.pt"])
    assert capsys.readouterr().err == "summary\n"


def test_another_dictionary_is_refused(checkpoint, other_data_bin):
    with pytest.raises(Refused, match="trained with a different dictionary"):
        load_ensemble(str(checkpoint), str(other_data_bin))
