"""Averaged SGD against its formula, written out."""

import copy

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.optim.averaged_sgd import AveragedSGD

RATES = [1.0, 10.0, 1.0, 0.5, 3.0, 0.25, 2.0]  # a new one at each step, as variable windows have it
DECAY = 0.01


def parameters():
    generator = torch.Generator().manual_seed(1)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.double))
        for shape in ((3, 4), (5,), ())
    ]


def gradients(step):
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(p.shape, generator=generator, dtype=torch.double) for p in parameters()]


def run(optimizer, params, steps):
    for step in steps:
        for p, gradient in zip(params, gradients(step), strict=True):
            p.grad = gradient
        for group in optimizer.param_groups:
            group["lr"] = RATES[step]
        optimizer.step()


def by_hand(trigger):
    """Iterates after all steps, and the mean of those after step number `trigger`."""
    weights, since = [p.detach().clone() for p in parameters()], []
    for step, rate in enumerate(RATES):
        weights = [w - rate * (g + DECAY * w) for w, g in zip(weights, gradients(step), strict=True)]
        if step >= trigger:
            since.append(weights)
    return weights, [torch.stack(parts).mean(0) for parts in zip(*since, strict=True)]


def close(tensors, expected):
    for ours, theirs in zip(tensors, expected, strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("trigger", [0, 3, 6])
def test_the_average_is_the_mean_of_all_iterates_since_the_trigger(trigger):
    params = parameters()
    optimizer = AveragedSGD(params, lr=99.0, weight_decay=DECAY)
    run(optimizer, params, range(trigger))
    optimizer.start_averaging()
    run(optimizer, params, range(trigger, len(RATES)))
    iterates, averages = by_hand(trigger)
    close(params, iterates)
    assert optimizer.show(average=True)
    close(params, averages)
    assert optimizer.show(average=False)
    close(params, iterates)


def test_the_rate_is_restored_as_torchs_optimizers_do():
    """fairseq compares it with --stop-min-lr before a resumed run begins its next epoch."""
    optimizer, resumed = (AveragedSGD(parameters(), lr=1.0) for _ in range(2))
    optimizer.param_groups[0]["lr"] = 0.1
    saved = optimizer.state_dict()
    resumed.load_state_dict(saved)
    assert resumed.param_groups[0]["lr"] == 0.1
    del saved["lr"]  # as in checkpoints of earlier versions
    AveragedSGD(parameters(), lr=1.0).load_state_dict(saved)


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.999])
def test_the_exponential_average(decay):
    params = parameters()
    optimizer = AveragedSGD(params, lr=99.0, weight_decay=DECAY, decay=decay)
    optimizer.start_averaging()
    run(optimizer, params, range(4))
    resumed = AveragedSGD(params, lr=99.0, weight_decay=DECAY, decay=decay)
    resumed.load_state_dict(optimizer.state_dict())
    run(resumed, params, range(4, len(RATES)))
    weights, average = [p.detach().clone() for p in parameters()], None
    for step, rate in enumerate(RATES):
        weights = [w - rate * (g + DECAY * w) for w, g in zip(weights, gradients(step), strict=True)]
        new = max(1 / (step + 1), 1 - decay)
        pairs = zip(average or weights, weights, strict=True)
        average = [(1 - new) * a + new * w for a, w in pairs]
    close(params, weights)
    resumed.show(average=True)
    close(params, average)


def test_without_an_average_nothing_is_kept_and_nothing_changes():
    params = parameters()
    optimizer = AveragedSGD(params, lr=1.0)
    run(optimizer, params, range(2))
    before = copy.deepcopy(params)
    assert optimizer.other is None and not optimizer.state
    optimizer.start_averaging()
    assert not optimizer.show(average=True), "no iterate is in it yet"
    close(params, before)


def test_showing_twice_changes_nothing_and_no_step_is_taken_on_the_average():
    params = parameters()
    optimizer = AveragedSGD(params, lr=1.0)
    optimizer.start_averaging()
    run(optimizer, params, range(3))
    assert optimizer.show(average=True) and not optimizer.show(average=True)
    with pytest.raises(RuntimeError, match="hold the average"):
        optimizer.step()


@pytest.mark.parametrize("averaging", [False, True])
@pytest.mark.parametrize("shown", [False, True])
def test_saved_and_restored_bitwise(averaging, shown, tmp_path):
    params = parameters()
    optimizer = AveragedSGD(params, lr=1.0, weight_decay=DECAY)
    if averaging:
        optimizer.start_averaging()
    run(optimizer, params, range(4))
    optimizer.show(average=shown)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    optimizer.show(average=False)

    others = parameters()
    restored = AveragedSGD(others, lr=1.0, weight_decay=DECAY)
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert restored.show(average=False), "copies of the parameters are stale after loading"
    for the_params, the_optimizer in ((params, optimizer), (others, restored)):
        run(the_optimizer, the_params, range(4, len(RATES)))
        the_optimizer.show(average=True)
    assert all(map(torch.equal, params, others))


def test_a_parameter_without_a_gradient_is_averaged_as_it_is():
    params = parameters()
    optimizer = AveragedSGD(params, lr=1.0, weight_decay=DECAY)
    optimizer.start_averaging()
    params[0].grad = torch.ones_like(params[0])
    before = params[1].detach().clone()
    optimizer.step()
    optimizer.show(average=True)
    assert torch.equal(params[1], before)


def test_a_state_of_other_shapes_is_refused():
    saved = AveragedSGD(parameters(), lr=1.0).state_dict()
    with pytest.raises(Refused, match="does not match the shapes"):
        AveragedSGD(parameters()[:2], lr=1.0).load_state_dict(saved)
    with pytest.raises(Refused, match="does not match the shapes"):
        AveragedSGD([torch.nn.Parameter(torch.zeros(1)), *parameters()[1:]], lr=1.0).load_state_dict(saved)
