"""Interpolated models against the mixture of their whole distributions, in float64, without fairseq."""

import hashlib
import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.compose import Rates, composed_scorer
from lm_plugins.evaluation.evaluate import evaluate
from lm_plugins.evaluation.interpolation import MixtureScorer, RecordingScorer, interpolate
from lm_plugins.evaluation.interpolation_components import model_component
from lm_plugins.evaluation.interpolation_options import InterpolationSettings
from lm_plugins.evaluation.interpolation_tuning import em_weights
from lm_plugins.evaluation.scorers import ModelScorer
from lm_plugins.tasks import interpolation
from tests.helpers.tiny_decoder import TinyDecoder, TinyText

OTHER = {"path": "other", "sha256": "0"}
WEIGHTS = (0.5, 0.2, 0.3)
CACHE, RATES = CacheSettings((6,), (0.8,), (0.2,)), Rates(0.3, 0.05, 0.0, None)


@pytest.fixture
def decoders():
    return [TinyDecoder().double() for _ in WEIGHTS]


@pytest.fixture
def text():
    return TinyText()


@torch.no_grad()
def distribution(decoder, text):
    """p of every word at every position, [N, B, V]."""
    features, _ = decoder.rnn(decoder.embedding(text.tokens[:, :-1].t()))
    return torch.softmax(features @ decoder.head.vocabulary.weight.t() + decoder.head.vocabulary.bias, -1)


def test_equals_the_mixture_of_whole_distributions(decoders, text):
    p = [distribution(decoder, text) for decoder in decoders]
    mixture = sum(weight * one for weight, one in zip(WEIGHTS, p, strict=True))
    assert (mixture.sum(-1) - 1).abs().max() < 1e-12
    of_targets = [one.gather(2, text.tokens[:, 1:].t().unsqueeze(2)).squeeze(2) for one in (mixture, *p)]
    nats = [-float(one[text.counted.t()].log().sum()) for one in of_targets]

    others = [model_component(OTHER, decoder, text) for decoder in decoders[1:]]
    scorer = MixtureScorer(ModelScorer(), others, WEIGHTS, text.unk)
    tally = evaluate(decoders[0], text, scorer)
    assert tally.nats == pytest.approx(nats[0], rel=1e-12)
    assert scorer.tally.nats == pytest.approx(nats[1], rel=1e-12), "of the first model alone"
    assert [other.tally.nats for other in others] == pytest.approx(nats[2:], rel=1e-12)
    assert (tally.unknown, tally.targets) == (others[0].tally.unknown, text.targets)


def test_a_cache_and_dynamic_evaluation_belong_to_the_first_model(decoders, text):
    """The mixture uses the first model's scores with both, and the other models' scores without them."""
    with composed_scorer(decoders[0], CACHE, RATES) as scorer:
        recorder = RecordingScorer(scorer)
        evaluate(decoders[0], text, recorder)
    others = [model_component(OTHER, decoder, text) for decoder in decoders[1:]]
    log_probs = torch.stack([torch.cat(one.log_probs) for one in (recorder, *others)])
    expected = (log_probs.exp() * torch.tensor(WEIGHTS, dtype=torch.float64).unsqueeze(1)).sum(0).log()
    with composed_scorer(decoders[0], CACHE, RATES) as scorer:
        tally = evaluate(decoders[0], text, MixtureScorer(scorer, others, WEIGHTS, text.unk))
    assert tally.nats == pytest.approx(-float(expected.sum()), rel=1e-12)


def test_the_digest_is_of_the_model_that_was_read(decoders, text, tmp_path, monkeypatch):
    """Training that is still running replaces the file before the end of the passes."""
    checkpoint = tmp_path / "checkpoint_best.pt"
    checkpoint.write_text("read")

    def load_decoder(path, folder):
        checkpoint.write_text("trained further")
        return decoders[1], None

    monkeypatch.setattr(interpolation, "load_decoder", load_decoder)
    settings = InterpolationSettings((str(checkpoint),), None, (0.5, 0.5))
    (other,) = interpolation.mixture(settings, OTHER, decoders[0], None, "folder", text).others
    assert other.model == {"path": str(checkpoint), "sha256": hashlib.sha256(b"read").hexdigest()}


def test_a_model_that_has_diverged_is_refused(decoders, text):
    """EM would return weights that are NaN."""
    with torch.no_grad():
        decoders[1].embedding.weight.fill_(torch.nan)
    with pytest.raises(Refused, match="other assigns a target a probability of zero or NaN"):
        model_component(OTHER, decoders[1], text)


def test_small_probabilities_do_not_vanish():
    log_probs, weights = torch.tensor([[-2000.0, -1.0], [-2001.0, -torch.inf]]), torch.tensor([0.5, 0.5])
    first = -2000 + math.log(0.5 + 0.5 * math.exp(-1))
    assert interpolate(log_probs, weights).tolist() == pytest.approx([first, -1 + math.log(0.5)], rel=1e-12)
    assert interpolate(log_probs, torch.tensor([1.0, 0.0])).tolist() == [-2000.0, -1.0]


def golden_section(function, low=0.0, high=1.0, tolerance=1e-9):
    """Return where a concave function of one variable is largest."""
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > tolerance:
        inner = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, inner[1]) if function(inner[0]) > function(inner[1]) else (inner[0], high)
    return (low + high) / 2


@pytest.mark.parametrize("shift", [0.0, 0.4, -8.0])
def test_em_finds_the_weight_of_a_golden_section_search(shift):
    """The second model is as good as the first, better, or so much worse that its weight is 0."""
    log_probs = -3 + torch.randn(2, 400, dtype=torch.float64)
    log_probs[1] = (log_probs[1] + shift).clamp(max=-0.01)

    def likelihood(weight):
        return float(interpolate(log_probs, torch.tensor([1 - weight, weight], dtype=torch.float64)).sum())

    best = golden_section(likelihood)
    weights = em_weights(log_probs)
    assert weights.sum() == pytest.approx(1) and weights[1] == pytest.approx(best, abs=1e-6)


def test_em_of_three_models_has_equal_gradients():
    """At the optimum, the mean of p_i / p is 1 for each model with a weight above 0, else at most 1."""
    log_probs = -3 + torch.randn(3, 500, dtype=torch.float64)
    log_probs[2] -= 9
    weights = em_weights(log_probs)
    slopes = (log_probs - interpolate(log_probs, weights)).exp().mean(1)
    assert slopes[:2].tolist() == pytest.approx([1, 1], abs=1e-6) and slopes[2] < 1
    assert weights.min() >= 0 and weights[2] < 1e-6
