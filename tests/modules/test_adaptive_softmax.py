"""The adaptive softmax against torch's and against its own formula."""

import pytest
import torch

from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax

C, V = 8, 23
CUTOFFS = [[5], [4, 9], [1, 2, 22]]


def tied(cutoffs, **options):
    embedding = torch.nn.Parameter(torch.randn(V, C).double())
    head = AdaptiveSoftmax(C, V, cutoffs=cutoffs, weight=embedding, **options).double()
    for parameter in (head.bias, head.tail_vectors, head.tail_bias):
        parameter.data.normal_()
    return head


def untied(cutoffs, **options):
    return AdaptiveSoftmax(C, V, cutoffs=cutoffs, factor=2.0, **options).double()


def formula(head, features):
    """p over the words, tied: the head over frequent words and tails, each tail a softmax."""
    logits = features @ head.weight.T + head.bias
    tails = features @ head.tail_vectors.T + head.tail_bias
    first = head.sizes[0]
    top = torch.softmax(torch.cat([logits[..., :first], tails], -1), -1)
    parts = [top[..., :first]]
    for i, rows in enumerate(logits.split(head.sizes, -1)[1:]):
        parts.append(top[..., first + i, None] * torch.softmax(rows, -1))
    return torch.cat(parts, -1)


@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_tied_equals_the_formula_with_gradients(cutoffs):
    head = tied(cutoffs)
    features = torch.randn(7, 3, C, dtype=torch.float64, requires_grad=True)
    target, leaves = torch.randint(V, (7, 3)), [features, *head.parameters()]
    p = formula(head, features)
    torch.testing.assert_close(head.log_prob(features).exp(), p, rtol=0, atol=1e-13)
    expected = -p.gather(-1, target.unsqueeze(-1)).squeeze(-1).log()
    nll = head.nll(features, target)
    torch.testing.assert_close(nll, expected, rtol=0, atol=1e-12)
    result = torch.autograd.grad(nll.sum(), leaves)
    torch.testing.assert_close(result, torch.autograd.grad(expected.sum(), leaves))


@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_untied_equals_torch_with_its_weights(cutoffs):
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(C, V, cutoffs, div_value=2.0).double()
    ours = untied(cutoffs)
    ours.load_state_dict(theirs.state_dict())  # the same names and shapes
    features = torch.randn(V, C, dtype=torch.float64, requires_grad=True)
    target = torch.randperm(V)
    torch.testing.assert_close(ours.log_prob(features), theirs.log_prob(features))
    nll = ours.nll(features, target)
    torch.testing.assert_close(nll, -theirs(features, target).output)
    result = torch.autograd.grad(nll.sum(), [features, *ours.parameters()])
    expected = torch.autograd.grad(-theirs(features, target).output.sum(), [features, *theirs.parameters()])
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("made", [tied, untied])
def test_probabilities_sum_to_one(made):
    p = made([4, 9]).log_prob(torch.randn(7, 3, C).double()).exp()
    torch.testing.assert_close(p.sum(-1), torch.ones(7, 3).double())


@pytest.mark.parametrize("made", [tied, untied])
def test_a_tail_without_targets_has_a_gradient_of_zero(made):
    """DistributedDataParallel would wait for a gradient that never comes."""
    head = made([4, 9])
    head.nll(torch.randn(3, 2, C).double(), torch.tensor([[0, 1], [2, 3], [4, 8]])).sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    last = head.weight.grad[9:] if made is tied else head.tail[1][1].weight.grad
    assert last.eq(0).all()


@pytest.mark.parametrize("made", [tied, untied])
def test_pads_have_no_loss_and_no_gradient(made):
    head, target = made([4, 9], padding_idx=1), torch.tensor([[0, 1], [12, 3]])
    features = torch.randn(2, 2, C, dtype=torch.float64, requires_grad=True)
    nll = head.nll(features, target)
    nll.sum().backward()
    assert nll[0, 1] == 0 and features.grad[0, 1].eq(0).all() and features.grad[1, 0].ne(0).any()


def test_only_the_targets_of_a_tail_meet_its_words(monkeypatch):
    from lm_plugins.modules import adaptive_softmax

    rows, op = [], adaptive_softmax.linear_cross_entropy
    monkeypatch.setattr(
        adaptive_softmax,
        "linear_cross_entropy",
        lambda features, *rest, **options: rows.append(len(features)) or op(features, *rest, **options),
    )
    tied([4, 9]).nll(torch.randn(5, C).double(), torch.tensor([0, 5, 20, 10, 3]))
    assert rows == [5, 1, 2]


@pytest.mark.parametrize("cutoffs", [[], [0], [9, 4], [4, 4], [V], [-1, 4]])
def test_cutoffs_that_do_not_rise_within_the_vocabulary_are_refused(cutoffs):
    with pytest.raises(ValueError, match="must be strictly increasing"):
        AdaptiveSoftmax(C, V, cutoffs=cutoffs)


@pytest.mark.parametrize("made", [tied, untied])
def test_a_padding_symbol_in_a_tail_is_refused(made):
    """The root ignores the entry with the number of the symbol, which is then that of a whole tail."""
    head = made([2, 4], padding_idx=1)
    features, target = torch.randn(V, C).double(), torch.arange(V)
    expected = -head.log_prob(features).gather(1, target.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(head.nll(features, target)[2:], expected[2:])
    with pytest.raises(ValueError, match="first cutoff 1 of an adaptive softmax must be above 1"):
        made([1, 4], padding_idx=1)


def test_tails_without_features_are_refused():
    with pytest.raises(ValueError, match="fewer cutoffs"):
        AdaptiveSoftmax(C, V, cutoffs=[4, 9], factor=4.0)
