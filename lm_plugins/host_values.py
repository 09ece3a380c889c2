"""Copy the values that a training step logs from a GPU to the host, without making the host wait."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

COPIED = "copied"  # key of the event after which the copies hold their values


def start_copy(log: dict[str, Any]) -> dict[str, Any]:
    """Return `log` with its numbers on the host, where their values arrive later; see :func:`host_values`.

    The criterion of a plug-in may also log tensors that are on the host, or vectors: they stay as they are.
    """
    tensors = [tensor for tensor in _tensors([log], log) if tensor.is_cuda and tensor.dim() == 0]
    if not tensors:
        return log
    copies = torch.stack(tensors).to("cpu", non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()
    by_id = dict(zip(map(id, tensors), copies, strict=True))
    return {**{name: by_id.get(id(value), value) for name, value in log.items()}, COPIED: copied}


def host_values(logs: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, float]]:
    """Return the values `names` of all `logs` as numbers; the host waits at most once for a GPU."""
    for log in logs:
        if COPIED in log:
            log[COPIED].synchronize()  # does not wait if the host has waited for the GPU since
    tensors = _tensors(logs, names)
    numbers = dict(zip(map(id, tensors), torch.stack(tensors).tolist(), strict=True)) if tensors else {}
    return [{name: numbers.get(id(log[name]), log[name]) for name in names} for log in logs]


def _tensors(logs: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Tensor]:
    """Return each tensor once."""
    values = [log[name] for log in logs for name in names]
    return list({id(value): value for value in values if torch.is_tensor(value)}.values())
