"""Scorers around each other against plain loops in float64, without fairseq."""

import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.cache_tuning import CacheGrid, TuningScorer
from lm_plugins.evaluation.compose import Rates, composed_scorer
from lm_plugins.evaluation.dynamic_evaluation import Diverged, dynamic_evaluation
from lm_plugins.evaluation.evaluate import evaluate, mean_losses
from lm_plugins.evaluation.neural_cache import NeuralCache
from lm_plugins.evaluation.scorers import CachedScorer, DynamicScorer, ModelScorer
from lm_plugins.evaluation.tally import Tally
from lm_plugins.ops.neural_cache.naive import neural_cache as naive
from tests.helpers.tiny_decoder import TinyDecoder, TinyText, V

LR, DECAY, WINDOW, THETA, WEIGHT = 0.3, 0.05, 6, 0.8, 0.2


@pytest.fixture
def decoder():
    return TinyDecoder().double()


@pytest.fixture
def text():
    return TinyText()


def hand_loop(decoder, text, cached, learns, from_mixture=False):
    """The nats of the text by the formulas, from the whole distribution of each token.

    With `from_mixture` the model learns from the mixture with the cache, else from its own distribution.
    """
    weights = list(decoder.parameters())
    start = [w.detach().clone() for w in weights]
    keys, words, nats, state = [], [], 0.0, None
    for window in text:
        x, target, counted = (window["net_input"][k].t() for k in ("src_tokens", "target", "counted"))
        features, state = decoder.rnn(decoder.embedding(x), state)
        state = state.detach()
        p = torch.softmax(features @ decoder.head.vocabulary.weight.t() + decoder.head.vocabulary.bias, -1)
        mixture = p
        keys, words = [*keys, *features.detach()], [*words, *target]
        if cached:
            cache = naive(features.detach(), torch.stack(keys), torch.stack(words), THETA, WINDOW, V)
            seen = cache.sum(-1, keepdim=True) > 0
            mixture = torch.where(seen, (1 - WEIGHT) * mixture + WEIGHT * cache, mixture)
        losses = [-q.gather(2, target.unsqueeze(2)).squeeze(2)[counted].log() for q in (mixture, p)]
        nats += float(losses[0].detach().sum())
        if learns:
            loss = losses[0 if from_mixture else 1].mean()
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for w, w0, g in zip(weights, start, gradients, strict=True):
                    w += DECAY * (w0 - w) - LR * g
    with torch.no_grad():
        for w, w0 in zip(weights, start, strict=True):
            w.copy_(w0)
    return nats


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("learns", [False, True])
def test_composed_scorers_equal_a_loop_by_hand(decoder, text, cached, learns):
    cache = CacheSettings((WINDOW,), (THETA,), (WEIGHT,)) if cached else None
    rates = Rates(LR, DECAY, 0.0, None) if learns else None
    before = [w.detach().clone() for w in decoder.parameters()]
    with composed_scorer(decoder, cache, rates) as scorer:
        tally = evaluate(decoder, text, scorer)
    assert tally.nats == pytest.approx(hand_loop(decoder, text, cached, learns), rel=1e-12)
    assert tally.targets == text.targets
    assert tally.perplexity == pytest.approx(math.exp(tally.nats / text.targets))
    assert all(torch.equal(w, b) for w, b in zip(decoder.parameters(), before, strict=True))


def test_a_cache_inside_dynamic_evaluation_learns_from_the_mixture(decoder, text):
    """The other order composes too, and is another method."""
    inside = CachedScorer(ModelScorer(), NeuralCache((WINDOW,), (THETA,)), WEIGHT)
    with dynamic_evaluation(decoder.parameters(), LR, DECAY) as learner:
        nats = evaluate(decoder, text, DynamicScorer(inside, learner)).nats
    expected = hand_loop(decoder, text, cached=True, learns=True, from_mixture=True)
    assert nats == pytest.approx(expected, rel=1e-12)
    assert nats != pytest.approx(hand_loop(decoder, text, cached=True, learns=True), rel=1e-9)


def test_tuning_changes_no_score_and_sums_every_cache(decoder, text):
    grid = CacheGrid(CacheSettings((3, WINDOW), (0.0, THETA), (0.1, WEIGHT)))
    plain = evaluate(decoder, text, ModelScorer())
    tuned = evaluate(decoder, text, TuningScorer(ModelScorer(), grid))
    assert tuned == plain and grid.targets == text.targets
    assert grid.perplexity_without_cache == pytest.approx(plain.perplexity)
    nats = hand_loop(decoder, text, cached=True, learns=False)
    assert float(grid.nats[1, 1, 1]) == pytest.approx(nats, rel=1e-12)


def test_a_lambda_of_zero_changes_no_digit(decoder, text):
    with composed_scorer(decoder, CacheSettings((WINDOW,), (THETA,), (0.0,))) as scorer:
        assert evaluate(decoder, text, scorer) == evaluate(decoder, text, ModelScorer())


def test_a_diverging_model_is_refused_and_restored(decoder, text):
    before = [w.detach().clone() for w in decoder.parameters()]
    with pytest.raises(Diverged, match="give a lower --dynamic-lr"):
        with composed_scorer(decoder, rates=Rates(1e6, 0.0, 0.0, None)) as scorer:
            evaluate(decoder, text, scorer)
    assert all(torch.equal(w, b) for w, b in zip(decoder.parameters(), before, strict=True))


def test_evaluation_leaves_gradients_alone(decoder, text):
    evaluate(decoder, text, ModelScorer())
    assert all(w.grad is None for w in decoder.parameters()) and torch.is_grad_enabled()
    losses = list(mean_losses(decoder, text))
    assert len(losses) == 6 and all(loss.requires_grad for loss in losses)


def test_a_wrong_count_is_refused(decoder, text):
    text.targets += 1
    with pytest.raises(Refused, match="44 targets of 'test' were scored instead of 45"):
        evaluate(decoder, text, ModelScorer())


def test_a_perplexity_below_1_is_refused(decoder, text):
    class LogProb(ModelScorer):
        def __call__(self, *window):
            return -super().__call__(*window)

    with pytest.raises(Refused, match="a probability is above 1"):
        evaluate(decoder, text, LogProb())


def test_the_tally_sums_what_counts_in_float64():
    tally, counted = Tally(), torch.tensor([[True, True], [True, False]])
    nll, unknown = torch.tensor([[1e8, 1.0], [1.0, 5.0]]), torch.tensor([[True, False], [False, True]])
    tally.add(nll, counted, unknown)
    tally.add(nll, torch.zeros_like(counted), unknown)
    assert tally == Tally(3, 1e8 + 2, 1, 1e8)
    assert tally.perplexity_without_unknown == pytest.approx(math.e)
    assert Tally(2, 1.0, 2, 1.0).perplexity_without_unknown is None


def test_unknown_words_are_counted_by_their_index(decoder, text):
    targets, scored = text.tokens[:, 1:], text.counted
    tally = evaluate(decoder, text, ModelScorer())
    text.counted = scored & targets.ne(text.unk)
    text.targets = int(text.counted.sum())
    without = evaluate(decoder, text, ModelScorer())
    assert tally.unknown == tally.targets - without.targets > 0 == without.unknown
    assert tally.perplexity_without_unknown == pytest.approx(without.perplexity, rel=1e-6)
