"""fairseq-eval-lm with several models and an n-gram model."""

import json
import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.ngram import Ngram
from lm_plugins.tasks.loading import load_decoder
from recipes.kneser_ney import KneserNey
from tests.helpers.plain_model import tokens_of
from tests.helpers.runner import evaluate, perplexity, train

pytest.importorskip("kenlm")
MODELS = {"a": "awd_lstm_ptb", "b": "qrnn_ptb"}


@pytest.fixture(scope="module")
def models(corpus, data_bin, tmp_path_factory):
    """Return the paths of two checkpoints and of an n-gram model."""
    folder = tmp_path_factory.mktemp("models")
    for name, arch in MODELS.items():
        train(data_bin, folder / name, "--max-update", "20", "--no-epoch-checkpoints", arch=arch)
    lines = [line.split() for line in (corpus / "train.txt").read_text().splitlines()]
    ngram = folder / "kn3.arpa"
    ngram.write_text("\n".join(KneserNey(lines, 3).arpa()) + "\n")
    return [*(folder / name / "checkpoint_last.pt" for name in MODELS), ngram]


@torch.no_grad()
def whole_distributions(models, data_bin, subset):
    """Return p of all words at each position by each model, float64 [K, N, V], and the targets [N]."""
    target = tokens_of(data_bin, subset)
    decoders = [load_decoder(path, data_bin)[0].double() for path in models[:2]]
    symbols = decoders[0].dictionary
    source = torch.cat([torch.tensor([symbols.eos()]), target[:-1]]).unsqueeze(1)
    p = [d.output_head.log_prob(d.extract_features(source)[0]).squeeze(1).exp() for d in decoders]
    ngram, line, rows = Ngram(str(models[2]), symbols), [], []
    for token in target.tolist():
        rows.append(ngram.distribution(line[-2:] if len(line) > 2 else line).exp())
        line = [] if token == symbols.eos() else [*line, token]
    return torch.stack([*p, torch.stack(rows)]), target


def test_tuned_on_valid_and_used_on_test(models, data_bin, tmp_path):
    file, path = tmp_path / "weights.json", f"{models[0]}:{models[1]}"
    flags = ("--interpolate-ngram", models[2])
    on_valid = ("--gen-subset", "valid", "--results-path", tmp_path)
    tuned = evaluate(data_bin, path, *on_valid, *flags, "--interpolate-tune", file)
    saved = json.loads(file.read_text())
    weights = [one["weight"] for one in saved["models"]]
    assert [one["path"] for one in saved["models"]] == [str(model) for model in models]
    alone = [one["perplexity"] for one in saved["models"]]
    assert perplexity(tuned) == pytest.approx(alone[0], abs=0.006) and saved["perplexity"] < min(alone)
    assert "WARNING" not in tuned.output
    result = json.loads((tmp_path / "results-valid.json").read_text())
    assert result["perplexity"] == pytest.approx(alone[0])
    assert {**result["interpolation"], "subset": "valid"} == saved

    run = evaluate(data_bin, path, *flags, "--interpolate-from", file, "--results-path", tmp_path)
    p, target = whole_distributions(models, data_bin, "test")
    mixture = torch.einsum("k,knv->nv", torch.tensor(weights, dtype=torch.float64), p)
    assert (mixture.sum(1) - 1).abs().max() < 1e-5
    expected = [math.exp(-one.gather(1, target.unsqueeze(1)).log().mean()) for one in (mixture, *p)]
    assert perplexity(run) == pytest.approx(expected[0], abs=0.006)
    result = json.loads((tmp_path / "results-test.json").read_text())
    assert result["perplexity"] == pytest.approx(expected[0], rel=1e-5)
    mixed = result["interpolation"]
    assert mixed["perplexity"] == result["perplexity"]
    assert [one["perplexity"] for one in mixed["models"]] == pytest.approx(expected[1:], rel=1e-5)
    assert [one["weight"] for one in mixed["models"]] == weights

    typed = ("--interpolate-weights", ",".join(map(repr, weights)), "--eval-streams", "3")
    again = evaluate(data_bin, path, *flags, *typed, "--eval-warmup", "150", "--tokens-per-sample", "33")
    assert perplexity(again) == pytest.approx(expected[0], abs=0.011)


def test_another_dictionary_is_refused(models, other_data_bin):
    with pytest.raises(Refused, match="trained with a different dictionary"):
        load_decoder(models[0], other_data_bin)
