"""The level of a text decides in all programs what is scored and what a character is."""

import json
import random

import pytest

from lm_plugins.hub import load
from preprocess import text
from recipes.logs import logged
from tests.helpers.corpus import binarize
from tests.helpers.runner import evaluate, perplexity, train

BRIEF = ("--max-epoch", "1", "--no-epoch-checkpoints")


@pytest.mark.parametrize("stated", [True, False])
def test_numbers_below_256_are_words(stated, tmp_path):
    draw = random.Random(0)
    lines = [" ".join(str(draw.randrange(100)) for _ in range(12)) for _ in range(200)]
    source = tmp_path / "units.txt"
    source.write_text("".join(line + "\n" for line in lines))
    text.prepare(tmp_path / "bin", source, threshold=1)
    if not stated:
        (tmp_path / "bin/text.json").unlink()
    run = train(tmp_path / "bin", tmp_path / "model", *BRIEF)
    assert "_bpc" not in run.output
    assert ("does not record what a token is" in run.output) != stated
    lm = load(tmp_path / "model", tmp_path / "bin")
    score = lm.score((tmp_path / "bin/text/test.txt").read_text())
    assert score.tokens[:12] == lines[-10].split()
    printed = evaluate(tmp_path / "bin", tmp_path / "model/checkpoint_best.pt")
    assert score.perplexity == pytest.approx(perplexity(printed), abs=0.006)


def test_unknown_characters_are_reported_and_no_bits_are_given_for_them(tmp_path):
    draw = random.Random(0)
    for split, count in (("train", 300), ("valid", 30), ("test", 30)):
        lines = [" ".join(draw.choices("abc_", (4, 3, 2, 1), k=20)) for _ in range(count)]
        if split == "test":
            lines[7:9] = ["a ? b ?", "? c"]
        (tmp_path / f"{split}.txt").write_text("".join(line + "\n" for line in lines))
    data = binarize(tmp_path)
    (data / "text.json").write_text('{"level": "underscore"}')
    model, flags = tmp_path / "model/checkpoint_best.pt", ("--results-path", tmp_path)
    run = train(data, tmp_path / "model", *BRIEF)
    (valid,) = logged(run.output, "valid")
    assert float(valid["valid_bpc"]) == pytest.approx(float(valid["valid_loss"]), abs=0.001)
    known = evaluate(data, model, "--gen-subset", "valid", *flags)
    assert "0 unknown (ppl " in known.output and " bpc" in known.output
    results = json.loads((tmp_path / "results-valid.json").read_text())
    assert results["unknown"] == 0 and results["bpc"] == results["bits_per_token"]
    assert results["perplexity_without_unknown"] == results["perplexity"]

    printed = evaluate(data, model, *flags).output
    results = json.loads((tmp_path / "results-test.json").read_text())
    score = load(model, data).score((tmp_path / "test.txt").read_text().replace(" ", "").replace("_", " "))
    assert results["unknown"] == score.unknown == 3 and "bpc" not in results
    keep = [token != "<unk>" for token in score.tokens]
    without = float((-score.log_probs[keep].double().mean()).exp())
    assert results["perplexity_without_unknown"] == pytest.approx(without, rel=1e-5)
    assert score.perplexity_without_unknown == pytest.approx(without, rel=1e-5)
    assert results["perplexity"] == pytest.approx(score.perplexity, rel=1e-5) and without < score.perplexity
    line = next(line for line in printed.splitlines() if " targets, " in line)
    assert f"3 unknown (ppl {without:.3f} without them)" in line and "bpc" not in line

    run = train(data, tmp_path / "again", *BRIEF, "--valid-subset", "test")
    assert "'test' has 3 unknown characters: no bits per character are logged" in run.output
    assert "test_bpc" not in run.output and "train_bpc" in run.output
