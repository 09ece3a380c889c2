"""fairseq calls a hook of ours on every process before a checkpoint."""

import copy

import torch
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig

from lm_plugins.optim.consolidation import before_each_checkpoint, torch_optimizer


def adam():
    params = [torch.nn.Parameter(torch.ones(3))]
    return FairseqAdam(
        FairseqAdamConfig(lr=[0.1], adam_betas="(0.9, 0.999)", use_old_adam=True), params
    ), params


def step(optimizer, params):
    for p in params:
        p.grad = torch.arange(3.0)
    optimizer.step()


def test_the_wrapped_optimizer_trains_and_saves_like_the_plain_one():
    (plain, expected), (wrapped, params) = adam(), adam()
    before_each_checkpoint(wrapped, lambda: None)
    for optimizer, parameters in ((plain, expected), (wrapped, params)):
        step(optimizer, parameters)
        optimizer.set_lr(0.5)
        step(optimizer, parameters)
    assert torch.equal(params[0], expected[0])
    saved = copy.deepcopy(wrapped.state_dict())
    assert saved["param_groups"] == plain.state_dict()["param_groups"]
    restored, others = adam()
    restored.load_state_dict(saved)
    before_each_checkpoint(restored, lambda: None)
    others[0].data.copy_(params[0])
    step(restored, others), step(wrapped, params)
    assert torch.equal(others[0], params[0])


def test_the_hook_is_called_once_for_each_checkpoint():
    calls = []
    optimizer, _ = adam()
    inner = optimizer.optimizer
    for _ in range(2):
        before_each_checkpoint(optimizer, lambda: calls.append("gather"))
    optimizer.optimizer.consolidate_state_dict()  # as fairseq's trainer does
    assert calls == ["gather"]
    assert torch_optimizer(optimizer) is inner and isinstance(optimizer.optimizer, torch.optim.Optimizer)
