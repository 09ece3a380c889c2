"""What fairseq-eval-lm reads: it scores nothing itself, refuses a wrong count, and restores the weights."""

import json
import logging
import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation import cache_report
from lm_plugins.evaluation.cache_options import CacheSettings
from lm_plugins.evaluation.compose import Rates
from lm_plugins.evaluation.fairseq_pass import FairseqPass
from lm_plugins.evaluation.interpolation import Mixture
from lm_plugins.evaluation.interpolation_components import model_component
from lm_plugins.evaluation.report import Report
from tests.helpers.tiny_decoder import TinyDecoder, TinyText

RATES = Rates(0.3, 0.05, 0.0, None)


@pytest.fixture
def decoder():
    return TinyDecoder().double()


@pytest.fixture
def batches(decoder):
    return FairseqPass(decoder, TinyText(), None, RATES, Report("test", None, None, None, None))


def weights(decoder):
    return [w.detach().clone() for w in decoder.parameters()]


def same(one, other):
    return all(torch.equal(w, v) for w, v in zip(one, other, strict=True))


def score(decoder, batches):
    """Do what fairseq's program does, and return the nats that it sums."""
    nats = 0.0
    with torch.no_grad():
        for batch in batches:
            log_prob, _ = decoder(**batch["net_input"])
            nats -= float(log_prob.squeeze(-1)[batch["net_input"]["counted"]].sum())
    return nats


def test_the_report_has_the_sum_of_what_the_model_returned(decoder, batches, caplog):
    before = weights(decoder)
    with caplog.at_level(logging.INFO):
        nats = score(decoder, batches)
    assert len(batches) == 6 and "scored 44 of 44 targets of 'test'" in caplog.text
    assert f"test: 44 targets, {nats:.2f} nats" in caplog.text
    assert same(weights(decoder), before)
    assert score(decoder, batches) == nats, "an iteration starts again"


def results(decoder, text, folder, cache=None, rates=None, mixture=None):
    """Score `text`, and return the JSON file of the results."""
    report = Report("test", None, None, str(folder), {"path": "lm.pt", "sha256": "0"})
    score(decoder, FairseqPass(decoder, text, cache, rates, report, mixture))
    return json.loads((folder / "results-test.json").read_text())


def test_the_results_say_what_a_cache_was_tuned_to(decoder, tmp_path, monkeypatch):
    """The time is that of the pass, without the picture."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    report = cache_report.report

    def slow(*arguments):
        clock[0] = 1000.0
        return report(*arguments)

    class SlowText(TinyText):
        def __iter__(self):
            yield from super().__iter__()
            clock[0] = 2.0

    monkeypatch.setattr(cache_report, "report", slow)
    cache = CacheSettings((4, None), (0.0, 0.5), (0.1, 0.4), str(tmp_path / "cache.json"))
    found = results(decoder, SlowText(), tmp_path, cache, RATES)
    saved = json.loads((tmp_path / "cache.json").read_text())
    assert found["perplexity"] == pytest.approx(saved["without"], rel=1e-6)
    assert found["cache"] == {name: saved[name] for name in ("window", "theta", "lambda", "perplexity")}
    assert found["dynamic"] == {"lr": RATES.lr, "decay": RATES.decay}
    assert found["words_per_second"] == TinyText.targets / 2


@pytest.mark.parametrize("weights", [None, (0.3, 0.7)], ids=["tuned", "given"])
def test_the_results_have_the_models_of_an_interpolation(decoder, tmp_path, caplog, weights):
    """There is no speed, because the other model was scored before this pass."""
    text, file = TinyText(), tmp_path / "weights.json"
    first, second = ({"path": f"{name}.pt", "sha256": name} for name in "ab")
    other = model_component(second, TinyDecoder().double(), text)
    with caplog.at_level(logging.INFO):
        found = results(decoder, text, tmp_path, mixture=Mixture(first, [other], weights, str(file)))
    mixed = found["interpolation"]
    alone = [one["perplexity"] for one in mixed["models"]]
    assert [(one["path"], one["sha256"]) for one in mixed["models"]] == [("a.pt", "a"), ("b.pt", "b")]
    assert found["perplexity"] == (alone[0] if weights is None else mixed["perplexity"])
    assert mixed["perplexity"] < max(alone) and alone[1] == other.tally.perplexity
    assert math.fsum(one["weight"] for one in mixed["models"]) == pytest.approx(1)
    if weights is None:
        assert {**mixed, "subset": "test"} == json.loads(file.read_text())
    assert "words_per_second" not in found and "tokens/s" not in caplog.text


def test_reading_batches_scores_nothing(decoder, batches, caplog):
    with caplog.at_level(logging.INFO), pytest.raises(Refused, match="0 targets of 'test' were scored"):
        list(batches)
    assert "nats" not in caplog.text


def test_an_error_in_the_loop_restores_the_weights(decoder, batches):
    before, iterator = weights(decoder), iter(batches)
    decoder(**next(iterator)["net_input"])
    assert not same(weights(decoder), before)
    iterator.close()  # as when the loop's frame goes away
    assert same(weights(decoder), before)
