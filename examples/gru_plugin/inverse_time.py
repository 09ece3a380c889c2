"""A learning rate that decreases with the inverse of the epoch (Robbins and Monro 1951)."""

from dataclasses import dataclass, field
from typing import List

from fairseq.dataclass import FairseqDataclass
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II


@dataclass
class InverseTimeConfig(FairseqDataclass):
    lr_decay: float = field(default=0.1, metadata={"help": "decay d in lr / (1 + d (epoch - 1))"})
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("inverse_time", dataclass=InverseTimeConfig)
class InverseTime(FairseqLRScheduler):
    """lr_e = lr / (1 + d (e - 1)) in epoch e = 1, 2, ..."""

    def step_begin_epoch(self, epoch: int) -> None:
        self.optimizer.set_lr(self.cfg.lr[0] / (1 + self.cfg.lr_decay * (epoch - 1)))
