"""Texts scored by interpolated models."""

import pytest
import torch

from lm_plugins import ensembles
from lm_plugins.ensembles import Ensemble, load_ensemble
from lm_plugins.errors import Refused
from lm_plugins.evaluation.ngram import Ngram
from recipes.kneser_ney import KneserNey
from tests.helpers.language_models import language_model

WEIGHTS = (0.2, 0.5, 0.3)
TEXTS = ["w5 w6 w7", "w9 unheard w5\nw6", "", "w6"]


@pytest.fixture
def ensemble(tmp_path):
    """Return two models and an n-gram model."""
    pytest.importorskip("kenlm")
    models = {kind: language_model(kind, tmp_path) for kind in ("lstm", "gru")}
    arpa = tmp_path / "model.arpa"
    lines = [line.split() for line in ("w5 w6", "w7 w5 w6 w9", "w6 <unk> w5")]
    arpa.write_text("\n".join(KneserNey(lines, 2).arpa()) + "\n")
    ensemble = Ensemble(models, Ngram(str(arpa), models["lstm"].dictionary), WEIGHTS)
    assert ensemble.paths == ["lstm", "gru", str(arpa)]
    return ensemble


def test_the_scores_are_those_of_the_mixture_of_whole_distributions(ensemble):
    models, ngram, symbols = ensemble.models, ensemble.ngram, ensemble.models[0].dictionary
    for text, score in zip(TEXTS, ensemble.score(TEXTS, eos=True, batch_size=3), strict=True):
        ids = ensemble.encode(text, eos=True)
        source = torch.cat([torch.tensor([symbols.eos()]), ids[:-1]]).unsqueeze(1)
        with torch.no_grad():
            p = [m.decoder.output_head.log_prob(m.decoder.extract_features(source)[0]) for m in models]
        histories = [() if word == symbols.eos() else (int(word),) for word in source[:, 0]]
        p.append(torch.stack([ngram.distribution(history) for history in histories]).unsqueeze(1))
        mixture = sum(weight * one.double().exp() for weight, one in zip(WEIGHTS, p, strict=True)).squeeze(1)
        assert (mixture.sum(1) - 1).abs().max() < 1e-5
        assert score.tokens == models[1].encoder.tokens(ids)
        expected = mixture[torch.arange(len(ids)), ids].log()
        torch.testing.assert_close(score.log_probs, expected, rtol=1e-5, atol=1e-6)


def test_one_text_has_the_score_of_a_list_of_one(ensemble):
    texts = (text for text in TEXTS[:2])
    for text, expected in zip(TEXTS[:2], ensemble.score(texts), strict=True):
        torch.testing.assert_close(ensemble.score(text).log_probs, expected.log_probs)


@pytest.mark.parametrize("option", ["scorer", "state"])
def test_what_belongs_to_one_model_is_not_an_option(ensemble, option):
    """A cache would hold the states of all models, and the second one would find the text in it."""
    with pytest.raises(TypeError, match=option):
        ensemble.score(TEXTS, **{option: None})


@pytest.mark.parametrize("eos", [True, False])
@pytest.mark.parametrize("size", [1, 3])
def test_lines_have_the_scores_of_texts(ensemble, eos, size):
    lines, reported = ["w5 w6 w7", "w9 unheard", "", "w6"], []
    blocks = (lines[start : start + size] for start in range(0, 4, size))
    scored = [*ensemble.score_lines(blocks, reported.append, eos=eos, batch_size=2)]
    assert sum(reported) == 4 and scored[1].symbols[1] == "unheard"
    for one, expected in zip(scored, ensemble.score(lines, eos=eos), strict=True):
        torch.testing.assert_close(one.log_probs, expected.log_probs)


def test_lines_of_one_text_have_the_scores_of_the_text(ensemble):
    lines = ["w5 w6 w7", "", "w6"]
    scored = [*ensemble.score_lines([lines[:2], lines[2:]], carry=True)]
    (expected,) = ensemble.score(["\n".join(lines)], eos=True)
    torch.testing.assert_close(torch.cat([one.log_probs for one in scored]), expected.log_probs)


def test_one_model_alone_has_its_own_scores(tmp_path):
    model = language_model("lstm", tmp_path)
    (scored,) = Ensemble({"a": model}, None, (1.0,)).score_lines([["w5 w6"]])
    assert torch.equal(scored.log_probs, model.score("w5 w6", eos=True).log_probs.double())


def test_a_model_that_is_named_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "load", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(Refused, match="a.pt is one of the models twice"):
        load_ensemble("a.pt:b.pt:a.pt")
    with pytest.raises(Refused, match="a.pt is one of the models twice"):
        load_ensemble(["a.pt", "b.pt", "a.pt"])


def test_models_and_weights_may_be_lists(tmp_path, monkeypatch):
    paths = [tmp_path / "a.pt", tmp_path / "b.pt"]
    for path in paths:
        path.touch()
    model = language_model("lstm", tmp_path)
    monkeypatch.setattr(ensembles, "load", lambda *_: model)
    for path, weights in ((paths, [0.25, 0.75]), (f"{paths[0]}:{paths[1]}", "0.25,0.75")):
        loaded = load_ensemble(path, weights=weights)
        assert (loaded.paths, loaded.weights) == ([str(one) for one in paths], [0.25, 0.75])
    assert repr(loaded) == f"Ensemble(0.25 {paths[0]} + 0.75 {paths[1]})"
    assert "on cpu" in repr(model)


@pytest.mark.parametrize("path", [None, 3, [None], b"a.pt", []])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(Refused, match="a checkpoint is named by a str or a Path|no model is given"):
        load_ensemble(path)
