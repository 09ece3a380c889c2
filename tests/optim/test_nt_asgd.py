"""When NT-ASGD starts to average, and when it ends."""

import pytest
import torch

from lm_plugins.optim.averaged_sgd import is_averaging, show_average
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig, has_finished
from lm_plugins.optim.validation import tell_validation


def build(**options):
    return NTASGD(NTASGDConfig(lr=[1.0], **options), [torch.nn.Parameter(torch.zeros(2))])


def triggered_at(losses, **options):
    """Number of the validation, from 1, after which averaging is on; None if never."""
    optimizer = build(**options)
    for number, loss in enumerate(losses, start=1):
        tell_validation(optimizer, loss)
        if is_averaging(optimizer):
            return number


def by_the_published_code(losses, n):
    """main.py of awd-lstm-lm: `if len(best) > n and val > min(best[:-n])`, for n > 0."""
    best = []
    for number, loss in enumerate(losses, start=1):
        if len(best) > n and loss > min(best[:-n]):
            return number
        best.append(loss)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("nonmono", [1, 2, 5])
def test_the_rule_of_the_published_code(seed, nonmono):
    generator = torch.Generator().manual_seed(seed)
    losses = (5 + torch.randn(30, generator=generator).div(9) - torch.arange(30) * 0.03).tolist()
    assert triggered_at(losses, nonmono=nonmono) == by_the_published_code(losses, nonmono)


@pytest.mark.parametrize(
    "losses, nonmono, expected",
    [
        ([5, 4, 3, 2, 1], 0, None),
        ([5, 4, 4, 4.1], 0, 4),  # not better is not yet worse
        ([5, 4, 4.5, 4.6, 3], 2, None),
        ([5, 4, 6, 6, 6], 2, 4),
        ([5, 6, 6, 6, 6], 5, None),
        ([5, 6, 6, 6, 6, 6, 6], 5, 7),
    ],
)
def test_small_cases(losses, nonmono, expected):
    assert triggered_at(losses, nonmono=nonmono) == expected


@pytest.mark.parametrize("averaging", ["always", "ema"])
def test_from_the_start(averaging):
    optimizer = build(averaging=averaging)
    assert is_averaging(optimizer)
    optimizer.load_state_dict(build(averaging="never").state_dict())
    assert is_averaging(optimizer), "also where the checkpoint has no average"


def test_fine_tuning_ends_by_the_same_rule():
    optimizer = build(nonmono=2, averaging="always")
    for loss in (5, 4, 6):
        tell_validation(optimizer, loss)
        assert not has_finished(optimizer)
    tell_validation(optimizer, 6)
    restored = build(nonmono=2, averaging="always")
    restored.load_state_dict(optimizer.state_dict())
    assert has_finished(restored) and restored.history == [5, 4, 6, 6]
    assert restored.get_lr() == 1.0, "the rest of the epoch is trained"


def test_another_averaging_replaces_that_of_the_checkpoint():
    optimizer = build(nonmono=0, averaging="always")
    for loss in (5, 6):
        tell_validation(optimizer, loss)
    assert optimizer.finished
    for averaging in ("never", "triggered", "ema"):
        restored = build(averaging=averaging)
        restored.load_state_dict(optimizer.state_dict())
        assert not has_finished(restored)
        assert is_averaging(restored) == (averaging == "ema")


def test_the_history_is_restored():
    optimizer = build(nonmono=2)
    for loss in (5, 4, 6):
        tell_validation(optimizer, loss)
    restored = build(nonmono=2)
    restored.load_state_dict(optimizer.state_dict())
    tell_validation(restored, 6)
    assert is_averaging(restored)


def test_other_optimizers_are_left_alone():
    assert is_averaging(None) is None
    show_average(None)
    tell_validation(None, 1.0)


@pytest.mark.parametrize("name", ["fp32_optimizer", "wrapped_optimizer"])
def test_the_loss_reaches_the_optimizer_in_a_wrapper_of_mixed_precision(name):
    class Wrapper:
        pass

    optimizer, wrapper = build(), Wrapper()
    setattr(wrapper, name, optimizer)
    tell_validation(wrapper, 5)
    assert optimizer.history == [5]
    optimizer.finished = True
    assert has_finished(wrapper)
