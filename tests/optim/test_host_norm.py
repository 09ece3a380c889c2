"""The norm of the gradients, on the host."""

import pytest
import torch
from fairseq.utils import clip_grad_norm_

from lm_plugins.optim.host_norm import clip_to_norm


def parameters(scale: float) -> list[torch.nn.Parameter]:
    """Return three parameters with gradients."""
    torch.manual_seed(1)
    made = [torch.nn.Parameter(torch.randn(shape)) for shape in [(300, 40), (40,), (7, 5, 3)]]
    for p in made:
        p.grad = scale * torch.randn_like(p)
    return made


@pytest.mark.parametrize("scale, limit", [(1.0, 0.25), (1e-4, 0.25), (1.0, 0.0)])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_norm_and_the_gradients_are_those_of_fairseq(scale: float, limit: float, count: int) -> None:
    ours, theirs = parameters(scale)[:count], parameters(scale)[:count]
    assert torch.equal(clip_to_norm(ours, limit), clip_grad_norm_(theirs, limit))
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))
