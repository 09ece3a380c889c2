"""A search steps through hypotheses with the scores that the whole texts have."""

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.scoring.beam_search import BeamScorer
from lm_plugins.scoring.espnet import ESPnetScorer
from tests.helpers.language_models import MODELS, language_model

WIDTH, STEPS = 3, 6


@pytest.fixture(params=MODELS)
def model(request, tmp_path):
    return language_model(request.param, tmp_path)


def search(model):
    """Return the best hypotheses of STEPS tokens, [N, 1 + T], and ln p of each."""
    scorer, eos = BeamScorer(model.decoder), model.dictionary.eos()
    texts, totals, state = torch.tensor([[eos]]), torch.zeros(1), scorer.initial_state(1)
    for _ in range(STEPS):
        log_prob, state = scorer.step(texts[:, -1], state)
        assert torch.allclose(log_prob.exp().sum(-1), torch.ones(len(texts)))
        candidates = (totals.unsqueeze(1) + log_prob)[:, 4:].flatten()  # without the special symbols
        totals, best = candidates.topk(WIDTH)
        row, word = best // (log_prob.size(1) - 4), best % (log_prob.size(1) - 4) + 4
        texts, state = torch.cat([texts[row], word.unsqueeze(1)], dim=1), scorer.select(state, row)
    return texts, totals


def test_a_beam_has_the_scores_of_its_texts(model):
    texts, totals = search(model)
    words = [model.decode(ids[1:]) for ids in texts]
    assert len({*words}) == WIDTH
    assert totals.tolist() == pytest.approx([score.log_prob for score in model.score(words)], rel=1e-5)


def test_a_search_starts_after_a_context(tmp_path):
    model = language_model("window 2", tmp_path)
    state = model.score("w5 w6").state
    log_prob, _ = BeamScorer(model.decoder).step(state.last, state.layers)
    expected = model.score("w5 w6 w9").log_probs[-1]
    assert float(log_prob[0, model.dictionary.index("w9")]) == pytest.approx(float(expected), rel=1e-5)


def test_espnet_scores_its_own_tokens(model):
    """The token list has another order, and the methods are called as ESPnet's BatchBeamSearch calls them."""
    tokens = ["<blank>", "<unk>", "w9", "w5", "w30", "<sos/eos>"]
    scorer, speech = ESPnetScorer(model.decoder, model.encoder, tokens), torch.zeros(2, 7, 4)
    ys = torch.tensor([[5], [5]])
    scores, states = scorer.batch_score(ys, [scorer.batch_init_state(speech[0])] * 2, speech)
    first = scores[:, [3, 2]]  # ln p of w5 and of w9 at the beginning
    ys = torch.tensor([[5, 3], [5, 2]])
    states = [scorer.select_state(states, i) for i in range(2)]
    scores, states = scorer.batch_score(ys, states, speech)
    alone, _ = scorer.score(
        ys[1], scorer.select_state(scorer.batch_score(ys[:1, :1], [None], speech)[1], 0), speech
    )
    assert scores.shape == (2, 6) and torch.isneginf(scores[:, 0]).all()
    for row, (word, column) in enumerate((("w5", 0), ("w9", 1))):
        whole = model.score(f"{word} w30", eos=True).log_probs
        assert float(first[row, column]) == pytest.approx(float(whole[0]), rel=1e-5)
        assert float(scores[row, 4]) == pytest.approx(float(whole[1]), rel=1e-5)
    assert torch.allclose(alone, scores[1], rtol=1e-5) and scorer.final_score(states[0]) == 0


def test_espnet_tokens_of_another_dictionary_are_refused(tmp_path):
    model = language_model("lstm", tmp_path)
    with pytest.raises(Refused, match="lacks 2 of the 4 tokens, such as v1, v2: give the token list"):
        ESPnetScorer(model.decoder, model.encoder, ["<blank>", "v1", "w5", "v2"])
