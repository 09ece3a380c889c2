"""Two-tailed averaging: SGD with two averages of its iterates, one of which validation chooses."""

import logging
from collections.abc import Callable
from typing import Any, Optional

import torch
from fairseq.optim import FairseqOptimizer
from torch import Tensor

from lm_plugins.optim.averaged_sgd import AveragedSGD, show_average, show_iterate
from lm_plugins.optim.consolidation import torch_optimizer
from lm_plugins.optim.large_tables import own_rows

logger = logging.getLogger(__name__)

PATIENCE = 3  # validations without a new minimum after which an average stagnates; the paper: "a few"


class TwoTailedSGD(AveragedSGD):
    r"""Two-tailed averaging (Melis 2022, arXiv:2209.12581, algorithm 2) of plain SGD.

    Every iterate enters a short average of the last S iterates and a long one of the last L, S <= L.
    :meth:`adapt` takes their validation losses F_S and F_L and that of the iterate, F_1:

        if F_S <= F_L, or F_L stagnates:  the long average becomes the short one, which starts again
        else if F_S stagnates:            the short average starts again
        then, if F_1 <= F_L:              the iterate is used; and if the long average is as old as
                                          one validation, both averages start again

    The average in use is the long one. It has no hyper-parameter: its length stays within a factor of
    two of the best one under the paper's assumptions.

    Departure: the paper leaves open when a loss stagnates; here it does when its minimum is
    `PATIENCE` validations old.

    Averaging takes the memory of two copies of the parameters.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr, weight_decay)
        self.start_averaging()
        self.short = 0  # number of iterates in the short average, state[p]["short"]
        self.short_losses: list[float] = []  # its validation losses since it started
        self.long_losses: list[float] = []
        self.iterate_is_best = False  # at the last validation

    def short_averages(self) -> Optional[list[Tensor]]:
        return [self.state[p]["short"] for p in self.parameters()] if self.short else None

    @torch.no_grad()
    def step(self, closure: Optional[Callable] = None) -> None:
        super().step(closure)
        self.short += 1
        if self.short == 1:
            for p in self.parameters():
                self.state[p]["short"] = p.data.clone()
        else:
            iterates = [p.data for p in self.parameters()]
            torch._foreach_lerp_(self.short_averages(), iterates, weight=1 / self.short)

    def show(self, average: bool) -> bool:
        """Put the long average into the parameters, or the iterate where that was better."""
        return super().show(average and not self.iterate_is_best)

    @torch.no_grad()
    def swap_short(self) -> None:
        """Swap the iterate, which the parameters must hold, and the short average."""
        for p, short in zip(self.parameters(), self.short_averages(), strict=True):
            shown = p.data.clone()
            p.data.copy_(short)
            short.copy_(shown)
        self.loaded = True  # a half-precision copy of the parameters is stale

    def adapt(self, iterate: float, short: float, long: float) -> None:
        """Apply the rule to the validation losses, while the parameters hold the iterate.

        The losses may have any unit; they must be the same on all ranks.
        """
        self.short_losses.append(short)
        self.long_losses.append(long)
        if short <= long or _stagnates(self.long_losses):
            long = short
            self.averaged, self.other, self.long_losses = (
                self.short,
                self.short_averages(),
                self.short_losses,
            )
            self._restart_short()
        elif _stagnates(self.short_losses):
            self._restart_short()
        self.iterate_is_best = self.averaged > 1 and iterate <= long
        if self.iterate_is_best and len(self.long_losses) == 1:
            self.averaged, self.other, self.long_losses = 0, None, []
            self._restart_short()

    def _restart_short(self) -> None:
        self.short, self.short_losses = 0, []
        self.state.clear()

    def state_dict(self) -> dict[str, Any]:
        two_tailed = {
            "short": self.short,
            "averages": self.short_averages(),
            "short_losses": self.short_losses,
            "long_losses": self.long_losses,
            "iterate_is_best": self.iterate_is_best,
        }
        return {**super().state_dict(), "two_tailed": two_tailed}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore iterates and averages; from a run without two averages, start the second one."""
        super().load_state_dict(state_dict)
        self.start_averaging()
        self._restart_short()
        self.long_losses, self.iterate_is_best = [], False
        if "two_tailed" in state_dict:
            saved = state_dict["two_tailed"]
            self.short, self.iterate_is_best = saved["short"], saved["iterate_is_best"]
            self.short_losses, self.long_losses = list(saved["short_losses"]), list(saved["long_losses"])
            for p, average in zip(
                self.parameters() if self.short else [], saved["averages"] or [], strict=True
            ):
                self.state[p]["short"] = own_rows(p, average).to(p, copy=True)


def choose_average(optimizer: Optional[FairseqOptimizer], validation_loss: Callable[[], float]) -> None:
    """Let the validation losses of both averages and of the iterate decide which of them the model holds.

    Does nothing for other optimizers, and without an update since the averages last changed.

    Args:
        validation_loss: computes the loss of the model as it is
    """
    inner = None if optimizer is None else torch_optimizer(optimizer)
    if not isinstance(inner, TwoTailedSGD) or inner.short == 0:
        return
    show_iterate(optimizer)
    iterate = validation_loss()
    inner.swap_short()
    try:
        show_iterate(optimizer)
        short = long = validation_loss()
    finally:  # a checkpoint of a failure holds the iterate
        inner.swap_short()
    if inner.short < inner.averaged:  # else both are the same
        inner.iterate_is_best = False
        show_average(optimizer)
        long = validation_loss()
    show_iterate(optimizer)
    lengths = f"short ({inner.short} updates) {short:.5f}, long ({inner.averaged} updates) {long:.5f}"
    inner.adapt(iterate, short, long)
    used = "the iterate" if inner.iterate_is_best else f"the average of {inner.averaged} updates"
    logger.info(f"validation losses of the averages: {lengths}; of the iterate {iterate:.5f}; using {used}")


def _stagnates(losses: list[float]) -> bool:
    return len(losses) > PATIENCE and min(losses[-PATIENCE:]) >= min(losses[:-PATIENCE])
