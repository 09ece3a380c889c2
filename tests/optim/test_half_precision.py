"""fairseq's wrappers of half precision continue exactly, with what its checkpoints lack."""

import copy

import pytest
import torch
from fairseq.optim import FP16Optimizer, MemoryEfficientFP16Optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from omegaconf import OmegaConf

from lm_plugins.optim.half_precision import half_precision_state, load_half_precision_state
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig

CFG = OmegaConf.create(
    {
        "optimizer": None,
        "common": {
            "fp16_init_scale": 4, "fp16_scale_window": 4, "fp16_scale_tolerance": 0.0,
            "threshold_loss_scale": None, "min_loss_scale": 1e-4,
        },
    }
)  # fmt: skip
ADAM = FairseqAdamConfig(lr=[0.01], adam_betas="(0.9, 0.999)", use_old_adam=True)


def wrapped(kind, p):
    """Return an optimizer of the half-precision parameter `p`."""
    if kind == "memory-efficient":
        return MemoryEfficientFP16Optimizer(CFG, [p], FairseqAdam(ADAM, [p]))
    float32 = torch.nn.Parameter(p.data.float())
    float32.grad = torch.zeros_like(float32)
    if kind == "averages":
        return FP16Optimizer(CFG, [p], NTASGD(NTASGDConfig(lr=[0.01]), [float32]), [float32])
    # Flattened weights are in a dictionary by the index of the device, which a CPU does not have.
    weights = {p.device.index: float32} if kind == "flattened" else [float32]
    return FP16Optimizer(CFG, [p], FairseqAdam(ADAM, [float32]), weights)


def updates(optimizer, p, count):
    for _ in range(count):
        optimizer.zero_grad()
        optimizer.backward(p.float().square().sum())
        optimizer.clip_grad_norm(0.0)
        optimizer.step()


@pytest.mark.parametrize("kind", ["flattened", "one by one", "memory-efficient", "averages"])
def test_a_loaded_optimizer_continues_exactly(kind):
    p = torch.nn.Parameter(torch.randn(100).half())
    optimizer = wrapped(kind, p)
    updates(optimizer, p, 5)
    saved, ours = (
        copy.deepcopy(state) for state in (optimizer.state_dict(), half_precision_state(optimizer))
    )
    q = torch.nn.Parameter(p.data.clone())
    again = wrapped(kind, q)
    again.load_state_dict(saved)
    load_half_precision_state(again, ours)
    updates(optimizer, p, 3)
    updates(again, q, 3)
    assert torch.equal(p, q) and half_precision_state(again).keys() == ours.keys()
    assert again.scaler.loss_scale == optimizer.scaler.loss_scale == 16, "doubled before and after"
    assert ("weights" in ours) == (kind in ("flattened", "one by one"))


def test_float32_has_nothing_to_save():
    assert half_precision_state(FairseqAdam(ADAM, [torch.nn.Parameter(torch.ones(3))])) == {}
    assert half_precision_state(None) == {}, "before the first update"
