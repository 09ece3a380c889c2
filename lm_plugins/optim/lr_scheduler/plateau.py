"""A learning rate that is reduced when the validation loss stops improving."""

import logging
from dataclasses import dataclass, field
from typing import Any, List, Optional

from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from lm_plugins.optim.validation import on_validation
from lm_plugins.ranges import SHRINKING, at_least

logger = logging.getLogger(__name__)


@dataclass
class PlateauConfig(FairseqDataclass):
    lr_patience: int = field(
        default=1,
        metadata={
            "range": at_least(1),
            "help": "reduce the learning rate after this many consecutive validations without a new best "
            "loss, at least 1 (gluon-nlp: 30)",
        },
    )
    lr_shrink: float = field(
        default=0.1,
        metadata={
            "range": SHRINKING,
            "help": "factor by which the learning rate is multiplied, in (0, 1) (gluon-nlp: 0.1)",
        },
    )
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("plateau", dataclass=PlateauConfig)
class Plateau(FairseqLRScheduler):
    """Multiply lr by `lr_shrink` after `lr_patience` consecutive validations without a new best loss.

    The loss is the unrounded one of the first validation subset. The schedule sees it before the
    checkpoint is written, so that a resumed run has the same rates. fairseq's reduce_lr_on_plateau sees
    it afterwards, and its checkpoint does not hold the count.
    """

    def __init__(self, cfg: PlateauConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        self.rate, self.stale = cfg.lr[0], 0
        on_validation(optimizer, self.validated)

    def validated(self, loss: float) -> None:
        """Count a validation with `loss`, and reduce the rate if the count is full."""
        if self.best is None or loss < self.best:
            self.best, self.stale = loss, 0
            return
        self.stale += 1
        if self.stale >= self.cfg.lr_patience:
            self.rate, self.stale = self.rate * self.cfg.lr_shrink, 0
            logger.info(
                f"validation loss {loss:.5f} is no better than {self.best:.5f}: learning rate set to "
                f"{self.rate:g}"
            )

    def step(self, epoch: int, val_loss: Optional[float] = None) -> None:
        """Do nothing at the end of an epoch, when fairseq passes the rounded loss."""

    def step_begin_epoch(self, epoch: int) -> None:
        self.optimizer.set_lr(self.rate)

    def step_update(self, num_updates: int) -> float:
        self.optimizer.set_lr(self.rate)
        return self.optimizer.get_lr()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "stale": self.stale, "rate": self.rate, "lr": self.cfg.lr[0]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state. If --lr has changed since, the rate changes with it."""
        self.best, self.stale, self.rate = (state_dict[key] for key in ("best", "stale", "rate"))
        self.rate *= self.cfg.lr[0] / state_dict.get("lr", self.cfg.lr[0])
