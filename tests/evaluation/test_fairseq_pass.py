"""What fairseq-eval-lm reads: it scores nothing itself, refuses a wrong count, and restores the weights."""

import logging

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.evaluation.compose import Rates
from lm_plugins.evaluation.fairseq_pass import FairseqPass
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
