"""Texts scored by interpolated models."""

import pytest
import torch

from lm_plugins.ensembles import Ensemble
from lm_plugins.evaluation.ngram import Ngram
from recipes.kneser_ney import KneserNey
from tests.helpers.language_models import language_model

WEIGHTS = (0.2, 0.5, 0.3)
TEXTS = ["w5 w6 w7", "w9 unheard w5\nw6", "", "w6"]


def test_the_scores_are_those_of_the_mixture_of_whole_distributions(tmp_path):
    pytest.importorskip("kenlm")
    models = {kind: language_model(kind, tmp_path) for kind in ("lstm", "gru")}
    symbols = models["lstm"].dictionary
    arpa = tmp_path / "model.arpa"
    lines = [line.split() for line in ("w5 w6", "w7 w5 w6 w9", "w6 <unk> w5")]
    arpa.write_text("\n".join(KneserNey(lines, 2).arpa()) + "\n")
    ngram = Ngram(str(arpa), symbols)
    ensemble = Ensemble(models, ngram, WEIGHTS)
    assert ensemble.paths == ["lstm", "gru", str(arpa)]
    for text, score in zip(TEXTS, ensemble.score(TEXTS, eos=True, batch_size=3), strict=True):
        ids = ensemble.encode(text, eos=True)
        source = torch.cat([torch.tensor([symbols.eos()]), ids[:-1]]).unsqueeze(1)
        with torch.no_grad():
            p = [
                m.decoder.output_head.log_prob(m.decoder.extract_features(source)[0]) for m in models.values()
            ]
        histories = [() if word == symbols.eos() else (int(word),) for word in source[:, 0]]
        p.append(torch.stack([ngram.distribution(history) for history in histories]).unsqueeze(1))
        mixture = sum(weight * one.double().exp() for weight, one in zip(WEIGHTS, p, strict=True)).squeeze(1)
        assert (mixture.sum(1) - 1).abs().max() < 1e-5
        assert score.tokens == models["gru"].encoder.tokens(ids)
        expected = mixture[torch.arange(len(ids)), ids].log()
        torch.testing.assert_close(score.log_probs, expected, rtol=1e-5, atol=1e-6)
