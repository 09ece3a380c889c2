"""The score of a text does not depend on the batch, nor on the calls in which it is read."""

import random

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.scoring.batches import batch_log_probs
from lm_plugins.scoring.state import beginning
from tests.helpers.language_models import MODELS, language_model

DRAW = random.Random(2)
TEXTS = [" ".join(f"w{DRAW.randrange(5, 42)}" for _ in range(size)) for size in (3, 0, 17, 9, 1, 30, 9)]


@pytest.fixture(params=MODELS)
def model(request, tmp_path):
    return language_model(request.param, tmp_path)


def by_definition(model, text, eos):
    """Return ln p of each token, from the distributions after all prefixes."""
    ids = model.encode(text, eos)
    source = torch.cat([torch.tensor([model.dictionary.eos()]), ids[:-1]]).unsqueeze(1)
    with torch.no_grad():
        features = model.decoder.extract_features(source)[0]
        return model.decoder.output_head.log_prob(features)[torch.arange(len(ids)), 0, ids]


@pytest.mark.parametrize("eos", [False, True])
def test_a_batch_has_the_scores_of_its_texts(model, eos):
    scores = model.score(TEXTS, eos=eos, batch_size=3)
    for text, score in zip(TEXTS, scores, strict=True):
        alone = model.score(text, eos=eos)
        assert score.tokens == alone.tokens == model.encoder.tokens(model.encode(text, eos))
        assert score.log_prob == pytest.approx(alone.log_prob, rel=1e-6)
        assert score.unknown == text.split().count("w40") + text.split().count("w41")
        if score.tokens:
            torch.testing.assert_close(score.log_probs, by_definition(model, text, eos), rtol=1e-5, atol=1e-6)
    assert scores[1].tokens == ["</s>"] * eos


@pytest.mark.parametrize("window", [1, 7])
def test_windows_do_not_change_the_scores(model, window):
    ids = sorted((model.encode(text) for text in TEXTS if text), key=len, reverse=True)
    scored, _ = batch_log_probs(model.decoder, ids, beginning(model.decoder, len(ids)), window)
    for one, values in zip(ids, scored, strict=True):
        whole = model.score(model.decode(one))
        assert float(values.sum()) == pytest.approx(whole.log_prob, rel=1e-6)


def test_a_stream_of_single_tokens_has_the_scores_of_the_text(model):
    text = "\n".join(TEXTS[:4])
    whole, state, read = model.score(text, eos=True), None, []
    for token in whole.tokens:
        score = model.score("\n" if token == "</s>" else token, state=state)
        state = score.state
        read.append(score)
    assert sum(score.log_prob for score in read) == pytest.approx(whole.log_prob, rel=1e-6)
    assert [score.tokens for score in read] == [[token] for token in whole.tokens]


def test_hypotheses_are_scored_after_a_common_context(model):
    context = model.score("w5 w6 w30\n")
    for text, score in zip(TEXTS, model.score(TEXTS, eos=True, state=context.state), strict=True):
        together = model.score("w5 w6 w30\n" + text, eos=True)
        assert score.log_prob == pytest.approx(together.log_prob - context.log_prob, rel=1e-5)
        assert score.state is None


def test_the_negative_log_likelihood(tmp_path):
    model = language_model("lstm", tmp_path)
    assert model.nll("w5 w6", eos=True) == -model.score("w5 w6\n").log_prob
    assert model.nll(["w5", "w7 w8"]) == pytest.approx([model.nll("w5"), model.nll("w7 w8")], rel=1e-6)
    assert model.score([]) == [] and model.nll("") == 0


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda nll: -nll, "a probability is above 1"),
        (lambda nll: nll.mean().view(1, 1), r"the scorer Wrong returns the shape \[1, 1\] for .* \[2, 1\]"),
    ],
)
def test_what_a_scorer_may_not_return(tmp_path, wrong, message):
    """Each would be a score: the second one broadcasts."""

    class Wrong:
        needs_graph = False

        def __call__(self, head, features, target, counted):
            return wrong(head.nll(features, target))

    model = language_model("lstm", tmp_path)
    with pytest.raises(Refused, match=message):
        model.score("w5 w6", Wrong())
