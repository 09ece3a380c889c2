"""The learning rate of every epoch, and of a resumed run."""

import pytest
import torch
from fairseq.optim.lr_scheduler.fixed_schedule import FixedLRSchedule, FixedLRScheduleConfig

from lm_plugins.errors import Refused
from lm_plugins.optim.lr_scheduler.exponential_range import ExponentialRange, ExponentialRangeConfig
from lm_plugins.optim.lr_scheduler.linear_decay import LinearDecay, LinearDecayConfig
from lm_plugins.optim.lr_scheduler.multi_step import MultiStep, MultiStepConfig
from lm_plugins.optim.lr_scheduler.plateau import Plateau, PlateauConfig
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig
from lm_plugins.optim.validation import tell_validation


def optimizer():
    return NTASGD(NTASGDConfig(lr=[99.0]), [torch.nn.Parameter(torch.zeros(2))])


def rates(scheduler, epochs):
    """As fairseq's trainer asks for them: at the beginning of the epoch, and at every update."""
    seen = []
    for epoch in epochs:
        scheduler.step_begin_epoch(epoch)
        seen.append(scheduler.step_update(num_updates=10 * epoch))
    return seen


def test_multi_step_divides_after_the_epochs():
    scheduler = MultiStep(MultiStepConfig(lr=[1e-3], milestones=[2, 4]), optimizer())
    assert rates(scheduler, range(1, 7)) == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert rates(scheduler, [4]) == pytest.approx([1e-4]), "of the epoch alone: a resumed run has the same"
    with pytest.raises(Refused, match="--milestones"):
        MultiStep(MultiStepConfig(lr=[1.0]), optimizer())


def test_the_range_is_covered_exponentially_and_then_ends():
    config = ExponentialRangeConfig(lr=[0.01], lr_max=100.0, range_updates=5)
    scheduler = ExponentialRange(config, optimizer())
    found = [scheduler.step_update(done) for done in range(7)]
    assert found == pytest.approx([0.01, 0.1, 1.0, 10.0, 100.0, 100.0, 100.0])
    for wrong in ({"lr_max": 0.01}, {"range_updates": 1}, {"lr": [0.0]}):
        with pytest.raises(Refused, match="must be"):
            ExponentialRange(ExponentialRangeConfig(**{"lr": [0.01], **wrong}), optimizer())


def test_linear_decay_reaches_the_end_and_stays():
    config = LinearDecayConfig(lr=[1.0], lr_end=0.2, saturate_epochs=4)
    expected = [1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2]
    assert rates(LinearDecay(config, optimizer()), range(1, 8)) == pytest.approx(expected)
    with pytest.raises(Refused, match="--saturate-epochs"):
        LinearDecay(LinearDecayConfig(lr=[1.0], saturate_epochs=0), optimizer())


def test_linear_decay_is_torchs():
    """lr += (minlr - startlr) / saturate after each epoch, not below minlr."""
    rate, expected = 1.0, []
    for _ in range(350):
        expected.append(rate)
        rate = max(0.001, rate + (0.001 - 1.0) / 300)
    scheduler = LinearDecay(LinearDecayConfig(lr=[1.0]), optimizer())
    assert rates(scheduler, range(1, 351)) == pytest.approx(expected)


def test_fairseqs_fixed_is_zarembas():
    """lr 1 for 4 epochs, then halved each epoch: 1 / 2^max(epoch - 4, 0)."""
    config = FixedLRScheduleConfig(lr=[1.0], force_anneal=5, lr_shrink=0.5)
    expected = [1 / 2 ** max(epoch - 4, 0) for epoch in range(1, 14)]
    assert rates(FixedLRSchedule(config, optimizer()), range(1, 14)) == expected


LOSSES = [5.0, 4.0, 4.5, 3.9, 3.9, 4.0, 4.1, 3.0, 3.1, 3.2, 3.3]


def validate(scheduler, losses):
    seen = []
    for loss in losses:
        tell_validation(scheduler.optimizer, loss)
        seen.extend(rates(scheduler, [1]))
    return seen


def test_plateau_counts_validations_without_a_new_best():
    scheduler = Plateau(PlateauConfig(lr=[1.0], lr_patience=2, lr_shrink=0.5), optimizer())
    expected = [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert validate(scheduler, LOSSES) == expected


@pytest.mark.parametrize("saved_after", range(len(LOSSES)))
def test_plateau_continues_where_it_was_saved(saved_after):
    config = PlateauConfig(lr=[1.0], lr_patience=2, lr_shrink=0.5)
    whole = validate(Plateau(config, optimizer()), LOSSES)
    first, second = Plateau(config, optimizer()), Plateau(config, optimizer())
    validate(first, LOSSES[:saved_after])
    second.load_state_dict(first.state_dict())
    assert validate(second, LOSSES[saved_after:]) == whole[saved_after:]


def test_plateau_reduces_another_rate_as_often():
    first = Plateau(PlateauConfig(lr=[1.0], lr_patience=2, lr_shrink=0.5), optimizer())
    second = Plateau(PlateauConfig(lr=[8.0], lr_patience=2, lr_shrink=0.5), optimizer())
    validate(first, LOSSES)
    second.load_state_dict(first.state_dict())
    assert rates(second, [1]) == [8 * 0.25]
