"""Values that a training step logs, on their way from a GPU to the host."""

import pytest
import torch

from lm_plugins.host_values import start_copy


class OnGPU(torch.Tensor):
    """Stand in for a tensor on a GPU."""

    is_cuda = True


class Event:
    """Stand in for a CUDA event."""

    def record(self) -> None:
        pass


def on_gpu(value: object) -> torch.Tensor:
    return torch.tensor(value).as_subclass(OnGPU)


def test_numbers_are_copied_and_other_tensors_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """fairseq sums all of these over processes, and a single GPU must not refuse what several take."""
    monkeypatch.setattr(torch.cuda, "Event", Event)
    loss = on_gpu(2.5)
    log = {
        "loss": loss,
        "nll_loss": loss,
        "hits": torch.tensor(3),
        "by_layer": on_gpu([1.0, 2.0]),
        "ntokens": 5,
    }
    copied = start_copy(log)
    assert float(copied["loss"]) == 2.5 and copied["nll_loss"] is copied["loss"] is not loss
    assert all(copied[name] is log[name] for name in ("hits", "by_layer", "ntokens"))
