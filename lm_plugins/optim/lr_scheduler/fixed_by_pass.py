"""fairseq's fixed schedule for a corpus in several data folders."""

from dataclasses import dataclass
from typing import Optional

from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import register_lr_scheduler
from fairseq.optim.lr_scheduler.fixed_schedule import FixedLRSchedule, FixedLRScheduleConfig
from fairseq.utils import split_paths
from omegaconf import II


@dataclass
class FixedByPassConfig(FixedLRScheduleConfig):
    data: Optional[str] = II("task.data")


@register_lr_scheduler("fixed_by_pass", dataclass=FixedByPassConfig)
class FixedByPass(FixedLRSchedule):
    """The rates of ``fixed`` for passes over all data folders; fairseq's epochs are folders.

    ``fixed`` multiplies the rate by --lr-shrink in each epoch from --force-anneal on, so no number of epochs
    gives this schedule. It replaces ``fixed`` automatically (:mod:`lm_plugins.passes`).
    """

    def __init__(self, cfg: FixedByPassConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        self.folders = len(split_paths(cfg.data)) if cfg.data else 1

    def get_next_lr(self, epoch: int) -> float:
        """Return the rate of the pass that the folder number `epoch` belongs to."""
        return super().get_next_lr((epoch - 1) // self.folders + 1)
