"""The decoder: windows against the whole text, train against eval, and what fairseq's scorer gets."""

import math

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.ops.resets import Resets
from tests.helpers.models import SIZE, tiny, windows

ARCHS = {  # {name: architecture and flags}
    "awd_lstm": ("awd_lstm_ptb",),
    "qrnn": ("qrnn_ptb",),
    "lstm_small": ("lstm_small",),
    "lstm_wt103": ("lstm_wt103",),
    "layer_norm_lstm": ("lstm_wt103", "--layer-norm"),
    "lstmp": ("awd_lstm_ptb", "--memory-cells", "9"),
    "factorised_lstm": ("awd_lstm", "--lstm-rank", "2"),
    "cifg": ("cifg", "--memory-cells", "9", "--share-decoder-input-output-embed"),
    "awd_gru": ("awd_gru", "--share-decoder-input-output-embed"),
    "simple_rnn": ("simple_rnn",),
    "tanh_rnn": ("simple_rnn", "--nonlinearity", "tanh"),
}


@pytest.fixture
def text():
    return torch.randint(2, SIZE, (3, 18), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("arch", ARCHS)
def test_windows_give_what_the_whole_text_gives(arch, text):
    model = tiny(*ARCHS[arch]).eval()
    whole = windows(model, text, [17])
    torch.testing.assert_close(windows(model, text, [1, 5, 2, 9]), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("arch", ARCHS)
def test_the_targets_are_read_from_the_full_distribution(arch, text):
    model = tiny(*ARCHS[arch]).eval()
    features, extra = model(text[:, :-1], stream="valid", step=0)
    full = model.get_normalized_probs((features, extra), log_probs=True)
    assert full.shape == (3, 17, SIZE)
    torch.testing.assert_close(full.exp().sum(-1), torch.ones(3, 17).double())
    expected = full.gather(2, text[:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(windows(model, text, [17]), expected)


@pytest.mark.parametrize("arch", ARCHS)
def test_validation_between_two_training_windows_changes_nothing(arch, text):
    def trained(validate):
        model = tiny(*ARCHS[arch]).train()
        torch.manual_seed(5)
        first = windows(model, text[:, :9], [8], stream="train")
        if validate:
            state = torch.get_rng_state()
            windows(model.eval(), text, [3, 14], stream="train")
            model.train()
            assert torch.equal(torch.get_rng_state(), state), "evaluation draws nothing"
        second = windows(model, text[:, 9:], [8], stream="train", first=1)
        (first.sum() + second.sum()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert len(gradients) == len(list(model.parameters()))
        return torch.cat([first, second], 1), gradients

    (out, gradients), (again, gradients_again) = trained(True), trained(False)
    assert torch.equal(out, again)
    assert all(map(torch.equal, gradients, gradients_again))


def test_the_layers_of_a_window_share_the_layout_of_its_sentences(text, monkeypatch):
    work_out, made = Resets.layout.func, []
    monkeypatch.setattr(Resets.layout, "func", lambda reset: made.append(reset) or work_out(reset))
    windows(tiny("awd_lstm_ptb", "--sample-break-mode", "eos"), text, [8, 9])
    assert len(made) == 2


def test_dropout_acts_in_training_alone(text):
    model = tiny("awd_lstm_ptb")
    torch.manual_seed(1)
    assert not torch.equal(windows(model.train(), text, [17]), windows(model.train(), text, [17]))
    assert torch.equal(windows(model.eval(), text, [17]), windows(model.eval(), text, [17]))


def test_a_window_without_its_place_is_refused(text):
    model = tiny("awd_lstm_ptb")
    for place in ({}, {"stream": "valid"}, {"step": 0}):
        with pytest.raises(Refused, match="does not say which window of which stream it is"):
            model(text, **place)


def test_a_target_is_expanded_without_memory(text):
    model = tiny("awd_lstm_ptb").eval()
    output = model(text[:, :-1], target=text[:, 1:], stream="valid", step=0)
    log_p, p = (model.get_normalized_probs(output, log_probs=log_probs) for log_probs in (True, False))
    assert log_p.shape == p.shape == (3, 17, SIZE) and log_p.stride(-1) == p.stride(-1) == 0
    torch.testing.assert_close(p, log_p.exp())


@pytest.mark.parametrize("bad", [-math.inf, math.nan])
def test_a_target_without_a_probability_is_refused(text, bad):
    model = tiny("awd_lstm_ptb").eval()
    output, extra = model(text[:, :-1], target=text[:, 1:], stream="valid", step=0)
    output[0, 3] = bad
    with pytest.raises(Refused, match="probability of zero or NaN"):
        model.get_normalized_probs((output, extra), log_probs=True)


@pytest.mark.parametrize("arch", ARCHS)
def test_step_by_step_generation_is_the_whole_window(arch, text):
    """Each row of a beam keeps its own state, which fairseq reorders."""
    model = tiny(*ARCHS[arch]).eval()
    features, extra = model(text[:, :-1], stream="valid", step=0)
    whole = model.get_normalized_probs((features, extra), log_probs=True)
    order, states, found = torch.tensor([2, 0, 1]), {}, []
    for t in range(8):
        out, _ = model.decoder(text[:, : t + 1], incremental_state=states)
        found.append(out[:, 0])
    torch.testing.assert_close(torch.stack(found, 1), whole[:, :8], rtol=0, atol=1e-12)
    model.decoder.reorder_incremental_state(states, order)
    for t in range(8, 17):
        out, _ = model.decoder(text[order, : t + 1], incremental_state=states)
        torch.testing.assert_close(out[:, 0], whole[order, t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("arch", ARCHS)
def test_sentences_are_scored_as_if_alone(arch, text):
    model = tiny(*ARCHS[arch], "--sample-break-mode", "eos").eval()
    text[:, 0] = text[1, 6] = text[2, 9] = model.decoder.dictionary.eos()
    for begin, end in ((0, 6), (6, 17)):
        alone = windows(model, text[1:2, begin : end + 1], [end - begin], stream=f"from {begin}")
        torch.testing.assert_close(windows(model, text, [4, 13])[1:2, begin:end], alone, rtol=0, atol=1e-12)
