"""The softmax head: normalised, exact, and able to share the embedding."""

import math

import pytest
import torch

from lm_plugins.modules.softmax import Softmax


@pytest.fixture
def head():
    made = Softmax(5, 11).double()
    made.vocabulary.bias.data.normal_()
    return made


def test_probabilities_sum_to_one_and_nll_is_that_of_the_target(head):
    features, target = torch.randn(4, 3, 5).double(), torch.randint(11, (4, 3))
    log_prob = head.log_prob(features)
    torch.testing.assert_close(log_prob.exp().sum(-1), torch.ones(4, 3).double())
    expected = -log_prob.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(head.nll(features, target), expected, rtol=0, atol=1e-13)


def test_pads_have_no_loss_and_no_gradient():
    head = Softmax(5, 11, padding_idx=1).double()
    features = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randint(2, 11, (4, 3))
    target[2, 1] = 1
    nll = head.nll(features, target)
    nll.sum().backward()
    assert nll[2, 1] == 0 and features.grad[2, 1].eq(0).all()
    assert features.grad.ne(0).any(-1).sum() == 11


def test_the_exponentials_start_with_a_sum_of_about_one():
    """Noise contrastive estimation takes the logits for log-probabilities."""
    head = Softmax(5, 1000, bias_init=-math.log(1000))
    z = head.vocabulary(torch.randn(20, 5)).logsumexp(-1)
    assert z.abs().max() < 0.3


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_are_logits_of_the_given_words_with_gradients(sparse):
    head = Softmax(5, 11, sparse=sparse).double()
    features = torch.randn(4, 3, 5).double()
    logits = head.vocabulary(features)
    for index in (torch.randint(11, (4, 3, 6)), torch.randint(11, (4, 6)), torch.tensor([2, 2, 9])):
        scores = head.scores(features, index)
        of_each_row = index.unsqueeze(1) if index.dim() == 2 else index
        expected = logits.gather(-1, of_each_row.expand(4, 3, -1))
        torch.testing.assert_close(scores, expected)
        parameters = list(head.parameters())
        gradients = torch.autograd.grad(scores.pow(2).sum(), parameters)
        assert all(gradient.is_sparse is sparse for gradient in gradients)
        dense = [gradient.to_dense() if sparse else gradient for gradient in gradients]
        expected = torch.autograd.grad(expected.pow(2).sum(), parameters, retain_graph=True)
        torch.testing.assert_close(dense, list(expected))


def test_scores_are_not_rounded_by_autocast():
    head, features = Softmax(5, 11), torch.randn(4, 3, 5)
    for index in (torch.randint(11, (4, 3, 6)), torch.randint(11, (4, 6)), torch.tensor([2, 2, 9])):
        expected = head.scores(features, index)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(head.scores(features, index), expected)


def test_a_tied_weight_gets_both_gradients():
    embedding = torch.nn.Embedding(11, 5).double()
    head = Softmax(5, 11, weight=embedding.weight).double()
    words, target = torch.randint(11, (4, 3)), torch.randint(11, (4, 3))
    head.nll(embedding(words), target).sum().backward()
    table = embedding.weight.detach().requires_grad_()
    logits = table[words] @ table.T + head.vocabulary.bias.detach()
    loss = -torch.log_softmax(logits, -1).gather(-1, target.unsqueeze(-1)).sum()
    torch.testing.assert_close(embedding.weight.grad, torch.autograd.grad(loss, table)[0])


def test_low_precision_features_give_float32_losses():
    head = Softmax(5, 11).bfloat16()
    features = torch.randn(4, 3, 5).bfloat16()
    assert head.log_prob(features).dtype == torch.float32
    assert head.nll(features, torch.zeros(4, 3, dtype=torch.long)).dtype == torch.float32


def test_a_factorised_matrix_has_the_rank():
    head = Softmax(6, 11, rank=2)
    logits = head.vocabulary(torch.randn(30, 6)) - head.vocabulary.bias
    assert torch.linalg.matrix_rank(logits, rtol=1e-4) == 2
    target = torch.randint(11, (30,))
    features = torch.randn(30, 6)
    expected = -head.log_prob(features).gather(1, target[:, None]).squeeze(1)
    torch.testing.assert_close(head.nll(features, target), expected)


@pytest.mark.parametrize("rank", [0, 6])
def test_a_rank_that_reduces_nothing_is_refused(rank):
    with pytest.raises(ValueError, match="rank must be"):
        Softmax(6, 11, rank=rank)


def test_a_rank_of_a_tied_weight_is_refused():
    with pytest.raises(ValueError, match="must not be tied"):
        Softmax(6, 11, rank=2, weight=torch.nn.Parameter(torch.zeros(11, 6)))


def test_a_weight_of_another_size_is_refused():
    with pytest.raises(ValueError, match="cannot share"):
        Softmax(6, 11, weight=torch.nn.Parameter(torch.zeros(11, 5)))


def test_a_normaliser_is_estimated_once():
    head, log_q = Softmax(5, 11, normaliser="estimated"), torch.randn(3, 1, 4)
    first, later = torch.randn(3, 2, 4, requires_grad=True), torch.randn(3, 2, 4)
    for scores in (first, later):
        head.estimate_log_z(scores, log_q)
        torch.testing.assert_close(head.log_z.exp(), (first.exp() / log_q.exp()).mean().detach())
    again = Softmax(5, 11, normaliser="estimated")
    again.load_state_dict(head.state_dict())
    again.estimate_log_z(later, log_q)
    assert torch.equal(again.log_z, head.log_z)


def test_an_estimated_normaliser_does_not_overflow():
    head = Softmax(5, 11, normaliser="estimated")
    head.estimate_log_z(torch.full((3, 2, 4), 200.0), torch.zeros(3, 1, 4))
    torch.testing.assert_close(head.log_z, torch.tensor(200.0))


@pytest.mark.parametrize("normaliser", ["fixed", "learned"])
def test_another_normaliser_is_not_estimated(normaliser):
    head = Softmax(5, 11, normaliser=normaliser)
    head.estimate_log_z(torch.randn(3, 2, 4), torch.randn(3, 1, 4))
    assert head.log_z == 0


def test_an_unknown_normaliser_is_refused():
    with pytest.raises(ValueError, match="choose from"):
        Softmax(5, 11, normaliser="guessed")
