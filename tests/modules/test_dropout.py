"""Masks: their statistics, what shares one, and what each rank takes of them."""

import pytest
import torch

from lm_plugins.modules import dropout_mask
from lm_plugins.modules.dropout_mask import stream_mask
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.locked_dropout import LockedDropout, StepDropout
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM
from tests.helpers.kernels import needs_compiler


@pytest.mark.parametrize("kind", [LockedDropout, StepDropout])
def test_values_and_rate(kind):
    y = kind(0.25)(torch.ones(30, 40, 100))
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert abs(float(y.eq(0).float().mean()) - 0.25) < 0.02


def test_a_locked_mask_is_the_same_at_all_steps_and_differs_between_streams():
    y = LockedDropout(0.5)(torch.ones(9, 4, 50))
    assert torch.equal(y, y[:1].expand_as(y))
    assert not torch.equal(y[0, 0], y[0, 1])


def test_a_step_mask_differs_between_steps():
    y = StepDropout(0.5)(torch.ones(9, 4, 50))
    assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("kind", [LockedDropout, StepDropout])
def test_identity_in_evaluation_and_without_dropout_draws_nothing(kind):
    x, before = torch.randn(3, 2, 4), torch.get_rng_state()
    assert kind(0.5).eval()(x) is x
    assert kind(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("steps", [1, 7])
def test_ranks_take_their_rows_of_the_mask_of_one_process(monkeypatch, steps):
    torch.manual_seed(3)
    whole = stream_mask(torch.ones(7, 6, 5), 0.5, steps)
    state, parts = torch.get_rng_state(), []
    for rank in range(3):
        monkeypatch.setattr(dropout_mask, "rank_and_world", lambda rank=rank: (rank, 3))
        torch.manual_seed(3)
        parts.append(stream_mask(torch.ones(7, 2, 5), 0.5, steps))
        assert torch.equal(torch.get_rng_state(), state)  # the ranks stay in step
    assert torch.equal(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("make", [LockedDropout, StepDropout, lambda p: Embedding(5, 3, 0.1, dropout=p)])
@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_probabilities_out_of_range_are_refused(make, p):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        make(p)


def test_embedding_dropout_drops_whole_words_everywhere():
    embedding = Embedding(50, 8, 0.1, dropout=0.4)
    words = torch.randint(50, (30, 20))
    rows, kept = embedding(words), {}
    for word, row in zip(words.flatten().tolist(), rows.flatten(0, 1), strict=True):
        scale = kept.setdefault(word, 0.0 if bool((row == 0).all()) else 1 / 0.6)
        torch.testing.assert_close(row, embedding.weight[word] * scale)
    assert 0 < sum(scale == 0 for scale in kept.values()) < 50


def test_embedding_dropout_rate_and_gradient():
    embedding = Embedding(4000, 2, 0.1, dropout=0.3)
    embedding(torch.arange(4000)).sum().backward()
    dropped = embedding.weight.grad.eq(0).all(dim=1)
    assert abs(float(dropped.float().mean()) - 0.3) < 0.03
    torch.testing.assert_close(embedding.weight.grad[~dropped].unique(), torch.tensor([1 / 0.7]))


def test_embedding_without_dropout_is_nn_embedding():
    embedding, words = Embedding(9, 3, 0.1, dropout=0.5).eval(), torch.randint(9, (4, 2))
    assert torch.equal(embedding(words), embedding.weight[words])
    assert list(embedding.state_dict()) == ["weight"]


def test_embedding_dropout_copies_no_table():
    embedding = Embedding(20_000, 64, 0.1, dropout=0.1).train()
    table = embedding.weight.numel() * 4
    with torch.profiler.profile(profile_memory=True) as profile, torch.no_grad():
        embedding(torch.randint(20_000, (5, 4)))
    allocated = sum(max(event.self_cpu_memory_usage, 0) for event in profile.events())
    assert 0 < allocated < table / 10


USERS = {  # of masks: a module and the shape of its input
    "locked": (lambda: LockedDropout(0.3), (7, 3, 13)),
    "step": (lambda: StepDropout(0.3), (7, 3, 13)),
    "embedding": (lambda: Embedding(131, 5, 0.1, dropout=0.3), None),
    "weight": (lambda: WeightDropLSTM(13, 17, weight_dropout=0.3), (7, 3, 13)),
    "input weight": (lambda: WeightDropLSTM(13, 17, input_weight_dropout=0.3), (7, 3, 13)),
    "candidate": (lambda: WeightDropLSTM(13, 17, candidate_dropout=0.3), (7, 3, 13)),
    "QRNN weight": (lambda: QRNNLayer(13, 17, window=2, weight_dropout=0.3), (7, 3, 13)),
    "zoneout": (lambda: QRNNLayer(13, 17, zoneout=0.3), (7, 3, 13)),
}


@needs_compiler
@pytest.mark.parametrize("user", USERS)
def test_a_seed_means_the_same_masks_with_and_without_the_compiled_kernel(user, monkeypatch):
    make, shape = USERS[user]
    module, x = make(), torch.randint(131, (9, 3)) if shape is None else torch.randn(shape)

    def run():
        torch.manual_seed(3)
        y = module(x)
        y = y if torch.is_tensor(y) else y[0]
        gradients = torch.autograd.grad(y.sum(), list(module.parameters())) if y.requires_grad else ()
        return [y, *gradients, torch.get_rng_state()]

    compiled = run()
    monkeypatch.setattr("lm_plugins.ops.dropout.why_unsupported", lambda x: "there is no compiler")
    torch.testing.assert_close(run(), compiled, rtol=0, atol=0)
