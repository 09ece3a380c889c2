"""SGD that also keeps the average of its iterates, and functions that swap the two in the model."""

from collections.abc import Callable
from typing import Any, Optional, Protocol, runtime_checkable

import torch
from fairseq.optim import FairseqOptimizer
from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.optim.consolidation import torch_optimizer
from lm_plugins.optim.large_tables import own_rows


@runtime_checkable
class Averaging(Protocol):
    """A torch optimizer that keeps an average of its iterates, such as :class:`AveragedSGD`.

    The task shows the average before it validates or saves, and the iterate before each training step.
    """

    averaged: Optional[int]  # number of iterates in the average; None: averaging has not started

    def show(self, average: bool) -> bool:
        """Put the average, if there is one, or the iterate into the parameters.

        Returns:
            whether the parameters changed since the last call, also by load_state_dict
        """


class AveragedSGD(torch.optim.Optimizer):
    r"""Polyak averaging (Polyak and Juditsky 1992) of plain SGD with weight decay.

        w_t   = w_{t-1} - lr_t (g_t + weight_decay w_{t-1})
        avg_n = avg_{n-1} + (w_t - avg_{n-1}) / n

    lr_t is the rate of the current step. The average starts with the first iterate after
    :meth:`start_averaging` (n = 1), so it is the mean of all iterates since then.

    Departure: torch.optim.ASGD(t0=0, lambd=0), which AWD-LSTM used, leaves the first iterate out and
    applies a change of lr one step late.

    With a `decay` the average is exponential:

        avg_n = avg_{n-1} + (w_t - avg_{n-1}) max(1 / n, 1 - decay)

    Its first 1 / (1 - decay) iterates have equal weights. The initial weights of a model, from which
    fairseq's --store-ema starts, are therefore not part of it.

    The parameters hold either the iterates or the averages, and `other` holds the other copy. Averaging
    therefore takes the memory of one copy of the parameters, and none before it starts.

    Args:
        decay: of the exponential average, at least 0 and below 1; None: all iterates have the same weight
    """

    supports_flat_params = True  # read by fairseq

    def __init__(
        self, params: Any, lr: float, weight_decay: float = 0.0, decay: Optional[float] = None
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.least_weight = 0.0 if decay is None else 1 - decay  # of an iterate that enters the average
        self.averaged: Optional[int] = None  # number of iterates in the average; None: not averaging
        # The averages while the parameters hold the iterates, and vice versa; None: there is no average.
        self.other: Optional[list[Tensor]] = None
        self.shows_average = False
        self.loaded = False  # load_state_dict changed the parameters since the last call of show()

    def parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.param_groups for p in group["params"]]

    def start_averaging(self) -> None:
        if self.averaged is None:
            self.averaged = 0

    def stop_averaging(self) -> None:
        """Drop the average, while the parameters hold the iterates."""
        self.averaged = self.other = None

    @torch.no_grad()
    def step(self, closure: Optional[Callable] = None) -> None:
        if self.shows_average:
            raise RuntimeError("the parameters hold the average: call show(average=False) before step()")
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            dense = [p for p in params if not p.grad.is_sparse]
            if dense:
                torch._foreach_add_(dense, [p.grad for p in dense], alpha=-group["lr"])
            for p in params:
                if p.grad.is_sparse:
                    p.add_(p.grad, alpha=-group["lr"])
        if self.averaged is not None:
            self.averaged += 1
            iterates = [p.data for p in self.parameters()]
            if self.averaged == 1:
                self.other = [iterate.clone() for iterate in iterates]
            else:
                torch._foreach_lerp_(self.other, iterates, weight=max(1 / self.averaged, self.least_weight))

    @torch.no_grad()
    def show(self, average: bool) -> bool:
        """Put the average, if there is one, or the iterate into the parameters.

        Returns:
            True if the parameters changed since the last call, by this one or by load_state_dict.
        """
        changed, self.loaded = self.loaded, False
        if self.other is not None and self.shows_average != average:
            for p, other in zip(self.parameters(), self.other, strict=True):
                shown = p.data.clone()
                p.data.copy_(other)
                other.copy_(shown)
            self.shows_average, changed = average, True
        return changed

    def state_dict(self) -> dict[str, Any]:
        """Return the iterates and the averages, whichever of them the parameters hold, and the rate."""
        shown = [p.data for p in self.parameters()]
        iterates, averages = (self.other, shown) if self.shows_average else (shown, self.other)
        rate = self.param_groups[0]["lr"]
        return {"averaged": self.averaged, "iterates": iterates, "averages": averages, "lr": rate}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore iterates and averages; the parameters then hold the iterates.

        Raises:
            Refused: the shapes are those of another model.
        """
        params, iterates, averages = self.parameters(), state_dict["iterates"], state_dict["averages"]
        if len(iterates) == len(params):
            iterates = [own_rows(p, iterate) for p, iterate in zip(params, iterates, strict=True)]
        if [p.shape for p in params] != [iterate.shape for iterate in iterates]:
            raise Refused(
                "the optimizer state in the checkpoint does not match the shapes of the model's parameters: "
                "resume with the same --arch and the same --fp16 flags, or give --reset-optimizer"
            )
        for p, iterate in zip(params, iterates, strict=True):
            p.data.copy_(iterate)
        if averages is not None:
            averages = [
                own_rows(p, average).to(p, copy=True) for p, average in zip(params, averages, strict=True)
            ]
        for group in self.param_groups:
            group["lr"] = state_dict.get("lr", group["lr"])
        self.averaged, self.other = state_dict["averaged"], averages
        self.shows_average, self.loaded = False, True


def show_average(optimizer: Optional[FairseqOptimizer]) -> None:
    """Put the average into the model, for validation and checkpoints.

    Like :func:`show_iterate`, this does nothing where there is no average, or no optimizer (None).
    """
    _show(optimizer, average=True)


def show_iterate(optimizer: Optional[FairseqOptimizer]) -> None:
    """Put the iterate into the model, for a training step."""
    _show(optimizer, average=False)


def is_averaging(optimizer: Optional[FairseqOptimizer]) -> Optional[bool]:
    """Return whether averaging has started; None for an optimizer that never averages."""
    inner = _averaging(optimizer)
    return None if inner is None else inner.averaged is not None


def _averaging(optimizer: Optional[FairseqOptimizer]) -> Optional[Averaging]:
    inner = None if optimizer is None else torch_optimizer(optimizer)
    return inner if isinstance(inner, Averaging) else None


def _show(optimizer: Optional[FairseqOptimizer], average: bool) -> None:
    inner = _averaging(optimizer)
    if inner is not None and inner.show(average) and hasattr(optimizer, "_sync_fp32_params_to_fp16"):
        optimizer._sync_fp32_params_to_fp16()  # --fp16: the model holds a half-precision copy
