"""The mixture of softmaxes against the formula of the paper."""

import pytest
import torch

from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes

C, V, E = 6, 11, 4


def layer(experts, **options):
    made = MixtureOfSoftmaxes(C, V, experts=experts, width=E, **options).double()
    made.vocabulary.bias.data.normal_()
    made.vocabulary.weight.data.normal_()
    return made


def formula(head, features):
    """sum_k pi_k softmax(W tanh(D_k h + d_k) + b), one expert after the other."""
    prior = torch.softmax(features @ head.prior.weight.T, -1)
    latent = torch.tanh(features @ head.latent.weight.T + head.latent.bias)
    matrix, p = head.vocabulary, 0
    for k in range(head.experts):
        logits = latent[..., k * E : (k + 1) * E] @ matrix.weight.T + matrix.bias
        p = p + prior[..., k : k + 1] * torch.softmax(logits, -1)
    return p


@pytest.mark.parametrize("experts", [1, 2, 7])
def test_equals_the_formula_with_gradients(experts):
    head = layer(experts)
    features = torch.randn(5, 3, C, dtype=torch.float64, requires_grad=True)
    target, leaves = torch.randint(V, (5, 3)), [features, *head.parameters()]
    p = formula(head, features)
    torch.testing.assert_close(head.log_prob(features).exp(), p, rtol=0, atol=1e-13)
    torch.testing.assert_close(p.sum(-1), torch.ones(5, 3).double())
    expected = -p.gather(-1, target.unsqueeze(-1)).squeeze(-1).log()
    nll = head.nll(features, target)
    torch.testing.assert_close(nll, expected, rtol=0, atol=1e-12)
    result = torch.autograd.grad(nll.sum(), leaves)
    torch.testing.assert_close(result, torch.autograd.grad(expected.sum(), leaves))


def test_an_improbable_word_is_not_cut_off():
    """mos takes log(p + 1e-8), at most 18.4 nats."""
    head = layer(2)
    head.vocabulary.bias.data[3] = -50
    target = torch.full((1, 1), 3)
    assert head.nll(torch.randn(1, 1, C).double(), target).item() > 40


def test_the_latent_mask_is_one_for_all_steps_over_all_experts():
    head = layer(3, latent_dropout=0.5)
    features = torch.randn(1, 2, C).double().expand(4, 2, C)
    latent, _ = head.components(features)
    assert latent.shape == (4, 2, 3, E)
    torch.testing.assert_close(latent, latent[:1].expand_as(latent), rtol=0, atol=0)
    dropped = latent[0].eq(0)
    assert dropped.any() and not dropped.all() and not torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    assert not head.eval().components(features)[0].eq(0).any()


def test_the_matrix_is_tied_to_an_embedding_of_another_width_than_the_features():
    embedding = torch.nn.Embedding(V, E)
    head = MixtureOfSoftmaxes(C, V, experts=2, width=E, weight=embedding.weight)
    head.nll(torch.randn(3, 2, C), torch.randint(V, (3, 2))).sum().backward()
    assert embedding.weight.grad.ne(0).any()
    with pytest.raises(ValueError, match="cannot share"):
        MixtureOfSoftmaxes(C, V, experts=2, width=E + 1, weight=embedding.weight)


def test_low_precision_features_give_float32_losses():
    head = layer(2).bfloat16()
    features, target = torch.randn(4, 3, C).bfloat16(), torch.randint(V, (4, 3))
    assert head.log_prob(features).dtype == head.nll(features, target).dtype == torch.float32


def test_no_expert_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        layer(0)
