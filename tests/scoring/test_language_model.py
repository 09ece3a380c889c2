"""A model continues text, names what may follow, and gives its features."""

import pytest
import torch

from lm_plugins.errors import Refused
from tests.helpers.language_models import MODELS, language_model


@pytest.fixture(params=MODELS)
def model(request, tmp_path):
    return language_model(request.param, tmp_path)


def test_texts_of_several_lengths_are_continued_together(model):
    """The most likely tokens of each text are those that it has alone."""
    prefixes = ["w5 w6 w7", "", "w8", "w9 w30 w6", "w8\nw9"]
    texts = model.sample(prefixes, length=6, temperature=0)
    assert texts == [model.sample(prefix, length=6, temperature=0) for prefix in prefixes]
    for prefix, text in zip(prefixes, texts, strict=True):
        first = model.sample(prefix, length=1, temperature=0)
        likeliest = model.next(prefix, 1)[0][0].replace("</s>", "\n")
        assert text.startswith(first) and first.startswith(prefix) and first.endswith(likeliest)


def test_draws_are_of_each_text_and_follow_a_seed(tmp_path):
    model = language_model("lstm", tmp_path)
    texts = model.sample(["w5"] * 400, length=1, seed=3)
    assert (
        texts == model.sample(["w5"] * 400, length=1, seed=3) != model.sample(["w5"] * 400, length=1, seed=4)
    )
    probabilities = dict(model.next("w5", 38))
    total = sum(probabilities.values())  # without <s> and <pad>, which are not drawn
    for word in ("w6", "w20"):
        assert texts.count(f"w5 {word}") / 400 == pytest.approx(probabilities[word] / total, abs=0.06)
    assert model.sample([], length=3) == []


def test_unknown_words_can_be_left_out(tmp_path):
    model = language_model("mos", tmp_path)
    drawn = [
        " ".join(model.sample(["w5"] * 50, length=40, seed=1, unknown=unknown)) for unknown in (True, False)
    ]
    assert "<unk>" in drawn[0] and "<unk>" not in drawn[1] and "<pad>" not in drawn[0]


def test_the_next_tokens_have_their_probabilities(model):
    likeliest = model.next("w5 w6", 38)
    assert len({token for token, _ in likeliest} - {"<s>", "<pad>"}) == 38
    assert [p for _, p in likeliest] == sorted((p for _, p in likeliest), reverse=True)
    token, p = next(pair for pair in likeliest if pair[0] == "w9")
    assert model.score("w5 w6 w9").log_probs[-1].exp() == pytest.approx(p, rel=1e-5)
    assert model.next("w6", 3, state=model.score("w5").state) == [
        (token, pytest.approx(p, rel=1e-5)) for token, p in likeliest[:3]
    ]
    with pytest.raises(Refused, match="k is 39: it must be at least 1 and at most 38"):
        model.next("w5", 39)


def test_features_follow_each_token(model):
    features = model.features("w5 w6 w7")
    assert features.shape == (3, model.decoder.extract_features(torch.tensor([[5]]))[0].size(-1))
    later = model.features("w6 w7", state=model.score("w5").state)
    assert torch.allclose(features[1:], later, rtol=1e-5, atol=1e-6) and not features.requires_grad
    p = model.decoder.output_head.log_prob(features[-1]).detach().exp()
    for token, likely in model.next("w5 w6 w7", 5):
        assert float(p[model.dictionary.index(token)]) == pytest.approx(likely, rel=1e-5)
