"""A constant learning rate until overfitting, then a decay from the best epoch."""

import logging
from dataclasses import dataclass, field
from typing import Any, List, Optional

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II
from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.modules.split_vocabulary import is_sharded
from lm_plugins.optim.averaged_sgd import is_averaging
from lm_plugins.optim.nt_asgd import NTASGD
from lm_plugins.optim.validation import on_validation
from lm_plugins.ranges import SHRINKING, at_least

logger = logging.getLogger(__name__)


@dataclass
class RollbackConfig(FairseqDataclass):
    lr_patience: int = field(
        default=1,
        metadata={
            "range": at_least(1),
            "help": "return to the best model after this many consecutive validations without a new best "
            "loss, at least 1",
        },
    )
    lr_shrink: float = field(
        default=0.8,
        metadata={
            "range": SHRINKING,
            "help": "factor by which each validation after the return to the best model multiplies the "
            "learning rate, in (0, 1) (Zhang 2018: 0.8)",
        },
    )
    fp16: bool = II("common.fp16")
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("rollback", dataclass=RollbackConfig)
class Rollback(FairseqLRScheduler):
    """Train at `lr` until the validation loss stops improving, return to the best model, then decay.

    After `lr_patience` consecutive validations without a new best loss, the next epoch begins with the
    parameters of the best validation. Each validation from then on multiplies the rate by `lr_shrink`, so it
    is lr * lr_shrink^(e - 1) in the e-th epoch. Source: the first tuning strategy of Zhang (2018, section
    6.3), which stops at the epoch with the lowest perplexity: give --patience.

    Departures: the numbers of the epochs continue, so the windows that follow differ from those that followed
    the best epoch. The state of an optimizer, such as the moments of Adam, is not rolled back.

    Until the rollback, a copy of the best parameters is in memory, and in each checkpoint of another model.
    If another schedule or optimizer continues from such a checkpoint, all of its checkpoints have that copy
    too: fairseq keeps the states of earlier schedules, and gives nobody else access to them.

    Raises:
        Refused: the parameters are not those that are validated, or not all of them are on this process.
    """

    def __init__(self, cfg: RollbackConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        if cfg.fp16 or any(is_sharded(p) for p in optimizer.params):
            raise Refused(
                "--lr-scheduler rollback copies whole parameters in float32: leave out --fp16 and "
                "--split-vocabulary"
            )
        average = "the optimizer" if is_averaging(optimizer) is not None else None
        if isinstance(optimizer, NTASGD):
            averaging = str(optimizer.cfg.averaging)
            average = None if averaging == "never" else f"--averaging {averaging}"
        if average is not None:
            raise Refused(
                f"--lr-scheduler rollback would return to an average of {average}: give --averaging never "
                "(with --optimizer nt_asgd), or another optimizer"
            )
        self.rate, self.stale = cfg.lr[0], 0
        self.weights: Optional[list[Tensor]] = None  # of the best validation, until the rollback
        self.epoch = 0  # the last one that began
        self.due = False  # the next epoch begins with the rollback
        self.decays = False  # the rollback is done
        on_validation(optimizer, self.validated)

    @torch.no_grad()
    def validated(self, loss: float) -> None:
        """Keep the parameters of a new best `loss`, count a validation without one, or decay."""
        if self.decays:
            self.rate *= self.cfg.lr_shrink
        elif self.best is None or loss < self.best:
            self.best, self.stale, self.due = loss, 0, False
            self.weights = [p.detach().clone() for p in self.optimizer.params]
        else:
            self.stale += 1
            self.due = self.stale >= self.cfg.lr_patience

    @torch.no_grad()
    def step_begin_epoch(self, epoch: int) -> None:
        """Roll back if it is due, unless a resumed run is still in the epoch in which it became due."""
        if self.due and epoch > self.epoch:
            for p, best in zip(self.optimizer.params, self.weights, strict=True):
                p.copy_(best)
            self.weights, self.due, self.decays = None, False, True
            logger.info(
                f"no validation loss was below {self.best:.5f} in the last {self.stale} validations: "
                "training returns to the model with that loss, and each validation multiplies the learning "
                f"rate by {self.cfg.lr_shrink:g}"
            )
        self.epoch = epoch
        self.optimizer.set_lr(self.rate)

    def step(self, epoch: int, val_loss: Optional[float] = None) -> None:
        """Do nothing at the end of an epoch, when fairseq passes the rounded loss."""

    def step_update(self, num_updates: int) -> float:
        self.optimizer.set_lr(self.rate)
        return self.optimizer.get_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, without the weights where they are those of the model, which are saved anyway."""
        names = ("best", "stale", "rate", "epoch", "due", "decays")
        state = {name: getattr(self, name) for name in names} | {"lr": self.cfg.lr[0]}
        is_best = self.weights is not None and all(map(torch.equal, self.weights, self.optimizer.params))
        return {**state, "model_is_best": is_best, "weights": None if is_best else self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, after the model, and remove the weights from `state_dict`.

        fairseq keeps it in a history that it saves again with every checkpoint. If --lr has changed since,
        the rate changes with it.
        """
        weights = state_dict.pop("weights")
        state = dict(state_dict)
        base = state.pop("lr", self.cfg.lr[0])
        if state.pop("model_is_best", False):
            weights = [p.detach() for p in self.optimizer.params]
        if weights is not None:
            weights = [w.to(p, copy=True) for w, p in zip(weights, self.optimizer.params, strict=True)]
        self.weights = weights
        for name, value in state.items():
            setattr(self, name, value)
        self.rate *= self.cfg.lr[0] / base
