"""The loss against its formula, and what is logged."""

import math
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.logging import metrics

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy
from lm_plugins.errors import Refused
from lm_plugins.tasks.recurrent_language_modeling import (
    RecurrentLanguageModelingConfig,
    RecurrentLanguageModelingTask,
)
from tests.helpers.models import tiny

PAD = 1


class Model(torch.nn.Module):
    """Return the tensors that it was made with and, like a head, zeros for pads."""

    def __init__(self, time=5, rows=3, width=4):
        super().__init__()
        self.log_prob = torch.nn.Parameter(-torch.rand(rows, time, 1, dtype=torch.double))
        self.raw = torch.nn.Parameter(torch.randn(time, rows, width, dtype=torch.double))
        self.mask = torch.rand(rows, width).gt(0.4).double() / 0.6

    def forward(self, loss=None, target=None):
        log_prob = self.log_prob
        if loss is None and target is not None:
            log_prob = log_prob.masked_fill(target.eq(PAD).unsqueeze(-1), 0)
        return log_prob, {"rnn_output": self.raw, "dropped_rnn_output": self.raw * self.mask}


def criterion(alpha=0.0, beta=0.0, output_l2=0.0):
    task = SimpleNamespace(target_dictionary=SimpleNamespace(pad=lambda: PAD))
    return LMCrossEntropy(task, alpha, beta, sentence_avg=False, output_l2=output_l2)


def sample(rows=3, time=5, pads=0):
    target = torch.full((rows, time), 7)
    target[:pads, -1] = PAD
    return {
        "net_input": {"target": target},
        "target": target,
        "ntokens": target.numel() - pads,
        "full": not pads,
        "nsentences": rows,
    }


@pytest.mark.parametrize("pads", [0, 2])
def test_the_formula_and_its_gradient(pads):
    model = Model()
    loss, size, _ = criterion(alpha=2.0, beta=1.0)(model, sample(pads=pads))
    loss.backward()
    result = [model.log_prob.grad, model.raw.grad]

    log_prob, raw = (p.detach().clone().requires_grad_() for p in (model.log_prob, model.raw))
    expected = 0.0
    for row in range(3):
        for t in range(5):
            if row < pads and t == 4:
                continue
            expected = expected - log_prob[row, t, 0] + 2.0 * (raw[t, row] * model.mask[row]).pow(2).mean()
            if t > 0:
                expected = expected + 1.0 * 5 / 4 * (raw[t, row] - raw[t - 1, row]).pow(2).mean()
    if not pads:  # as awd-lstm-lm computes it
        ar, tar = (raw * model.mask).pow(2).mean(), (raw[1:] - raw[:-1]).pow(2).mean()
        whole = -log_prob.sum() + 15 * (2.0 * ar + 1.0 * tar)
        assert expected.item() == pytest.approx(whole.item())
    expected.backward()
    assert size == 15 - pads
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)  # the regularisation is in float32
    for ours, theirs in zip(result, [log_prob.grad, raw.grad], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_streams_that_have_ended_are_not_regularised():
    """Nearly all streams of sentences may have: their pads outweighed the targets of the last windows."""
    window, model = sample(), Model()
    window["target"][1:] = window["target"][0, 2:] = PAD  # two targets in 15 places
    window["ntokens"], window["full"] = 2, False
    loss, size, log = criterion(alpha=2.0, beta=1.0)(model, window)
    alone = (model.raw * model.mask)[:2, 0].pow(2).mean(), model.raw[:2, 0].diff(dim=0).pow(2).sum() / 4
    expected = 2.0 * alone[0] + 1.0 * 5 / 4 * alone[1] / 2
    torch.testing.assert_close(float(log["reg"]) / size, expected.item(), rtol=1e-6, atol=0)

    window["target"][:], window["ntokens"] = PAD, 0  # as on a process whose streams have all ended
    loss, size, log = criterion(alpha=2.0, beta=1.0)(model, window)
    assert loss.item() == log["reg"].item() == size == 0
    loss.backward()
    assert float(model.raw.grad.abs().max()) == 0


def test_independent_sentences_are_not_smoothed_into_each_other():
    """Two sentences have the same changes in one stream as in two."""
    decoder = tiny("awd_lstm", "--sample-break-mode", "eos").eval().decoder
    sentences = torch.tensor([[2, 5, 6, 7, 8], [2, 9, 4, 6, 5]])

    def changes(source):
        extra = decoder.extract_features(source)[2]
        steps, counted = len(source), torch.ones_like(source, dtype=torch.bool)
        (tar,) = criterion(beta=1.0).regularisation({**extra, "counted": counted})
        return tar.item() * (steps - 1) / steps

    assert changes(sentences.reshape(10, 1)) == pytest.approx(changes(sentences.t()), rel=1e-6)


@pytest.mark.parametrize("pads", [0, 2])
def test_l2_of_the_output_matrix_is_a_term_of_the_mean_loss(pads):
    """As in OpenSeq2Seq: tf.contrib.layers.l2_regularizer(scale) is scale / 2 times the sum of squares."""
    model, weight = Model(), torch.nn.Parameter(torch.randn(7, 4))
    model.decoder = SimpleNamespace(output_head=SimpleNamespace(vocabulary=SimpleNamespace(weight=weight)))
    loss, size, log = criterion(output_l2=0.3)(model, sample(pads=pads))
    (loss / size).backward()
    torch.testing.assert_close(weight.grad, 0.3 * weight.detach())
    torch.testing.assert_close(float(log["reg"]) / size, 0.15 * weight.detach().pow(2).sum().item())
    plain, _, _ = criterion()(model, sample(pads=pads))
    torch.testing.assert_close(loss - plain, log["reg"].double())


def test_a_window_of_one_step_has_no_temporal_regularisation():
    model = Model(time=1)
    loss, _, log = criterion(beta=1.0)(model, sample(time=1))
    assert float(log["reg"]) == 0 and math.isfinite(loss.item())


def test_validation_has_no_regularisation():
    model = Model().eval()
    loss, _, log = criterion(alpha=2.0, beta=1.0)(model, sample())
    torch.testing.assert_close(loss, -model.log_prob.sum())
    assert float(log["reg"]) == 0


def test_the_average_of_sentences_is_refused():
    with pytest.raises(Refused, match="--sentence-avg"):
        LMCrossEntropy(SimpleNamespace(target_dictionary=None), 0.0, 0.0, sentence_avg=True, output_l2=0.0)


def logged(level="word", exact=True, unknown=(), training=True):
    """Return what the task logs for two batches of 3 and 5 targets of a text of `level`."""
    cfg = RecurrentLanguageModelingConfig(data="none", text_level=level, train_subset="train")
    task = RecurrentLanguageModelingTask(cfg, Dictionary())
    task.unknown_characters |= set(unknown)
    logs = [
        {"loss": torch.tensor(6.0), "reg": torch.tensor(0.5), "ntokens": 3, "nsentences": 1},
        {"loss": torch.tensor(2.0), "reg": torch.tensor(0.5), "ntokens": 5, "nsentences": 1},
    ]
    if exact:
        logs = [{**log, "nll_loss": log["loss"]} for log in logs]
    with metrics.aggregate(new_root=True) as result:
        task.reduce_metrics(logs, criterion().train(training))
    return result.get_smoothed_values()


def test_bits_perplexity_and_regularisation_are_means_over_the_targets():
    result = logged()
    bits = 8.0 / 8 / math.log(2)
    assert result["loss"] == result["nll_loss"] == pytest.approx(bits, abs=1e-6)
    assert result["ppl"] == pytest.approx(math.e, abs=1e-3)
    assert result["reg"] == pytest.approx(1.0 / 8 / math.log(2), abs=1e-6)
    assert "bpc" not in result


@pytest.mark.parametrize("level", ["character", "byte", "underscore"])
def test_bits_per_character_are_logged_where_tokens_are_characters(level):
    result = logged(level)
    assert result["bpc"] == pytest.approx(result["nll_loss"], abs=1e-5)
    assert "bpc" not in logged("sentencepiece")
    assert "bpc" not in logged(level, unknown=["train"]) and "bpc" in logged(level, unknown=["valid"])
    assert "bpc" not in logged(level, unknown=["valid"], training=False)


def test_a_loss_that_is_not_exact_has_no_perplexity():
    result = logged("character", exact=False)
    assert "loss" in result and not {"ppl", "nll_loss", "bpc"} & set(result)


def test_a_subclass_that_does_not_pass_an_option_on_is_an_error():
    """Its --output-l2 would have no effect."""
    with pytest.raises(TypeError, match="output_l2"):
        LMCrossEntropy(SimpleNamespace(target_dictionary=None), 0.0, 0.0, sentence_avg=False)
