"""The softmax output layer: normalised, exact, and able to share the embedding."""

import pytest
import torch

from lm_plugins.modules import output_layer
from lm_plugins.modules.output_layer import Softmax


@pytest.fixture
def head():
    made = Softmax(5, 11).double()
    made.bias.data.normal_()
    return made


def test_probabilities_sum_to_one_and_nll_is_that_of_the_target(head):
    features, target = torch.randn(4, 3, 5).double(), torch.randint(11, (4, 3))
    log_prob = head.log_prob(features)
    torch.testing.assert_close(log_prob.exp().sum(-1), torch.ones(4, 3).double())
    expected = -log_prob.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(head.nll(features, target), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 5, 12, 100])
def test_chunks_in_evaluation_change_nothing(head, monkeypatch, rows):
    features, target = torch.randn(4, 3, 5).double(), torch.randint(11, (4, 3))
    whole = head.nll(features, target)
    monkeypatch.setattr(output_layer, "EVALUATED_ROWS", rows)
    with torch.no_grad():
        torch.testing.assert_close(head.nll(features, target), whole, rtol=0, atol=1e-14)


def test_scores_are_logits_of_the_given_words(head):
    features = torch.randn(4, 3, 5).double()
    logits = features @ head.weight.T + head.bias
    index = torch.randint(11, (4, 3, 6))
    torch.testing.assert_close(head.score(features, index), logits.gather(-1, index))
    shared = torch.tensor([2, 2, 9])
    torch.testing.assert_close(head.score(features, shared), logits[..., shared])


def test_a_tied_weight_gets_both_gradients():
    embedding = torch.nn.Embedding(11, 5).double()
    head = Softmax(5, 11, weight=embedding.weight).double()
    words, target = torch.randint(11, (4, 3)), torch.randint(11, (4, 3))
    head.nll(embedding(words), target).sum().backward()
    table = embedding.weight.detach().requires_grad_()
    logits = table[words] @ table.T
    loss = -torch.log_softmax(logits, -1).gather(-1, target.unsqueeze(-1)).sum()
    torch.testing.assert_close(embedding.weight.grad, torch.autograd.grad(loss, table)[0])


def test_low_precision_features_give_float32_losses():
    head = Softmax(5, 11).bfloat16()
    features = torch.randn(4, 3, 5).bfloat16()
    assert head.log_prob(features).dtype == torch.float32
    assert head.nll(features, torch.zeros(4, 3, dtype=torch.long)).dtype == torch.float32


def test_a_weight_of_another_size_is_refused():
    with pytest.raises(ValueError, match="cannot share"):
        Softmax(6, 11, weight=torch.nn.Parameter(torch.zeros(11, 5)))
