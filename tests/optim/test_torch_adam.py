"""--optimizer torch_adam against torch's own Adam and AdamW."""

from types import SimpleNamespace

import pytest
import torch

from lm_plugins.errors import Refused
from lm_plugins.optim.torch_adam import TorchAdam


def config(**changes):
    defaults = {"adam_betas": "(0.8, 0.99)", "adam_eps": 1e-8, "weight_decay": 0.1, "lr": [0.05]}
    return SimpleNamespace(**{**defaults, "decoupled_weight_decay": False, **changes})


def trajectory(make, steps=30):
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(7, 3, dtype=torch.float64))
    optimizer = make([weight])
    for _ in range(steps):
        weight.grad = torch.sin(3 * weight.detach()) + 0.2 * weight.detach()
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("decoupled, theirs", [(False, torch.optim.Adam), (True, torch.optim.AdamW)])
def test_the_trajectory_is_that_of_torch(decoupled, theirs):
    expected = trajectory(lambda p: theirs(p, lr=0.05, betas=(0.8, 0.99), weight_decay=0.1, foreach=False))
    result = trajectory(lambda p: TorchAdam(config(decoupled_weight_decay=decoupled), p))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-9)


def test_betas_that_are_not_a_pair_are_refused():
    with pytest.raises(Refused, match="--adam-betas is 0.9"):
        trajectory(lambda p: TorchAdam(config(adam_betas="0.9"), p), steps=1)
