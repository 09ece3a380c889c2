"""Two-tailed averaging against algorithm 2 of the paper, written out over all iterates."""

import math

import pytest
import torch

from lm_plugins.optim.averaged_sgd import show_average, show_iterate
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig
from lm_plugins.optim.two_tailed import PATIENCE, choose_average

TARGET = torch.linspace(-1, 1, 5, dtype=torch.double)
PERIOD = 4  # updates between two validations
STAGNATIONS = {"stagnation of the long average", "stagnation of the short average"}
EVENTS = {"switch", "iterate", "restart", *STAGNATIONS}


def build(lr=1.0):
    parameter = torch.nn.Parameter(torch.full((5,), 6.0, dtype=torch.double))
    return NTASGD(NTASGDConfig(lr=[lr], averaging="two_tailed"), [parameter]), parameter


def loss_of(weights):
    return float((weights - TARGET).square().sum())


def gradient(weights, step, noise):
    generator = torch.Generator().manual_seed(step)
    return weights - TARGET + noise * torch.randn(5, generator=generator, dtype=torch.double)


def rate_at(step):
    return 0.9 if step == 90 else 0.05  # one large step, which no average foresees


def stagnates(losses):
    return len(losses) > PATIENCE and min(losses[-PATIENCE:]) >= min(losses[:-PATIENCE])


def mean(iterates, count):
    return torch.stack(iterates[-count:]).mean(0)


def by_hand(steps, noise):
    """(what is used, number of iterates in it) after each validation, and what happened, by name."""
    weights, iterates, used, events = torch.full((5,), 6.0, dtype=torch.double), [], [], set()
    short, long, short_losses, long_losses = 0, 0, [], []
    for step in range(1, steps + 1):
        weights = weights - rate_at(step) * gradient(weights, step, noise)
        iterates.append(weights)
        short, long = short + 1, long + 1
        if step % PERIOD:
            continue
        f_1, f_s, f_l = loss_of(weights), loss_of(mean(iterates, short)), loss_of(mean(iterates, long))
        short_losses.append(f_s)
        long_losses.append(f_l)
        if f_s <= f_l or stagnates(long_losses):
            events.add("switch" if f_s <= f_l else "stagnation of the long average")
            f_l, short, long, short_losses, long_losses = f_s, 0, short, [], short_losses
        elif stagnates(short_losses):
            events.add("stagnation of the short average")
            short, short_losses = 0, []
        if long > 1 and f_1 <= f_l:
            events.add("iterate")
            used.append((weights, 1))
            if len(long_losses) == 1:
                events.add("restart")
                short, long, short_losses, long_losses = 0, 0, [], []
        else:
            used.append((mean(iterates, long), long))
    return used, events


def run(optimizer, parameter, steps, noise):
    """The weights shown after each validation in `steps`."""
    used = []
    for step in steps:
        show_iterate(optimizer)
        parameter.grad = gradient(parameter.detach(), step, noise)
        optimizer.set_lr(rate_at(step))
        optimizer.optimizer.step()
        if step % PERIOD == 0:
            choose_average(optimizer, lambda: loss_of(parameter.detach()))
            show_average(optimizer)
            used.append(parameter.detach().clone())
    return used


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0, 5.0])
def test_equals_the_algorithm_over_all_iterates(noise):
    optimizer, parameter = build()
    used, expected = run(optimizer, parameter, range(1, 201), noise), by_hand(200, noise)[0]
    assert len(used) == len(expected) == 50
    for ours, (theirs, _) in zip(used, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_the_runs_compared_take_every_branch():
    events = set().union(*(by_hand(200, noise)[1] for noise in (0.0, 1.0, 2.0, 5.0)))
    assert events == EVENTS


@pytest.mark.parametrize("saved_at", [2, 8, 50, 102, 200])
def test_saved_and_restored_bitwise(saved_at, tmp_path):
    optimizer, parameter = build()
    run(optimizer, parameter, range(1, saved_at + 1), 1.0)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    restored, copy = build()
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    steps = range(saved_at + 1, 241)
    ours, theirs = run(optimizer, parameter, steps, 1.0), run(restored, copy, steps, 1.0)
    assert all(map(torch.equal, ours, theirs))


def test_continues_from_a_run_without_two_averages():
    plain = NTASGD(NTASGDConfig(lr=[0.1], averaging="never"), [torch.nn.Parameter(torch.ones(5).double())])
    optimizer, parameter = build()
    run(optimizer, parameter, range(1, 7), 1.0)
    optimizer.load_state_dict(plain.state_dict())
    assert torch.equal(parameter, torch.ones(5).double())
    assert all(math.isfinite(loss_of(weights)) for weights in run(optimizer, parameter, range(1, 30), 1.0))


def test_a_second_validation_without_an_update_changes_nothing():
    optimizer, parameter = build()
    before = run(optimizer, parameter, range(1, 5), 1.0)[-1]
    choose_average(optimizer, lambda: pytest.fail("validated"))
    show_average(optimizer)
    assert torch.equal(parameter, before)


def test_other_optimizers_are_left_alone():
    choose_average(None, lambda: pytest.fail("validated"))
