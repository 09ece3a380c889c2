"""Training returns to its best model, and the learning rate decays from there."""

import copy
from pathlib import Path

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.optim.lr_scheduler.rollback import Rollback, RollbackConfig
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig
from lm_plugins.optim.validation import tell_validation
from recipes.logs import logged
from tests.helpers.checkpoints import load, same_weights
from tests.helpers.runner import train

LOSSES = [5.0, 4.0, 4.5, 3.9, 4.1, 4.2, 4.0, 4.3, 4.4]
LAST = "checkpoint_last.pt"


def build(averaging: str = "never") -> tuple[Rollback, torch.nn.Parameter]:
    """Return a schedule from 1 with a patience of 2 and a factor of 0.5, and its only parameter."""
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = NTASGD(NTASGDConfig(lr=[1.0], averaging=averaging), [weight])
    return Rollback(RollbackConfig(lr=[1.0], lr_patience=2, lr_shrink=0.5, fp16=False), optimizer), weight


def run(schedule: Rollback, weight: torch.nn.Parameter, epochs: range) -> list[tuple[float, float]]:
    """Run `epochs`, each of which adds 1 to the weight; return rate and first weight of each."""
    seen = []
    for epoch in epochs:
        schedule.step_begin_epoch(epoch)
        seen.append((schedule.step_update(epoch), weight[0].item()))
        weight.data += 1
        tell_validation(schedule.optimizer, LOSSES[epoch - 1])
        schedule.step(epoch, round(LOSSES[epoch - 1]))
    return seen


# The best loss is that of epoch 4, after which the weight is 4; epochs 5 and 6 are no better.
EXPECTED = [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 4), (0.5, 5), (0.25, 6)]


def test_the_best_model_returns_and_the_rate_decays_from_it():
    assert run(*build(), range(1, 10)) == EXPECTED


@pytest.mark.parametrize("saved_after", range(1, 9))
def test_a_resumed_schedule_continues_and_the_history_keeps_no_weights(saved_after):
    first, weight = build()
    run(first, weight, range(1, saved_after + 1))
    state = copy.deepcopy(first.state_dict())
    assert (state["weights"] is None) == (saved_after in (1, 2, 4) or saved_after > 6), "the best has no copy"
    second, other = build()
    other.data.copy_(weight.data)
    second.load_state_dict(state)
    assert "weights" not in state
    second.step_begin_epoch(saved_after)  # within the epoch, where nothing is rolled back
    assert torch.equal(other, weight)
    assert run(second, other, range(saved_after + 1, 10)) == EXPECTED[saved_after:]


def test_another_rate_decays_as_far():
    first, weight = build()
    run(first, weight, range(1, 10))
    second, _ = build()
    second.cfg.lr = [8.0]
    second.load_state_dict(first.state_dict())
    assert second.step_update(100) == 8 * first.step_update(100)


def test_an_average_is_refused():
    with pytest.raises(Refused, match="--averaging triggered: give --averaging never"):
        build("triggered")


def test_a_run_with_a_rollback_resumes_exactly(data_bin: Path, tmp_path: Path) -> None:
    flags = ("--lr-scheduler", "rollback", "--lr", "13", "--clip-norm", "1", "--lr-shrink", "0.5")
    whole = train(data_bin, tmp_path / "whole", *flags, "--max-epoch", "6")
    assert whole.output.count("training returns to the model with that loss") == 1
    first = 1 + whole.output.split("training returns")[0].count("end of epoch")
    rates = [float(one["train_lr"]) for one in logged(whole.output, "train")]
    assert rates == [13.0] * first + [13 * 0.5**k for k in range(1, 7 - first)]
    for last in range(max(1, first - 1), 7):  # stops before the rollback, and after each later epoch
        train(data_bin, tmp_path / "parts", *flags, "--max-epoch", str(last))
    assert same_weights(tmp_path / "whole" / LAST, tmp_path / "parts" / LAST)
    history = load(tmp_path / "parts" / LAST)["optimizer_history"]
    assert all(one["lr_scheduler_state"].get("weights") is None for one in history)
