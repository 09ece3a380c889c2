"""A learning rate that is multiplied by a factor after given epochs."""

from dataclasses import dataclass, field
from typing import List, Optional

from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from lm_plugins.errors import Refused
from lm_plugins.ranges import above, at_least


@dataclass
class MultiStepConfig(FairseqDataclass):
    milestones: Optional[List[int]] = field(
        default=None,
        metadata={
            "range": at_least(1),
            "unit": "epochs",
            "help": "comma-separated epochs after which the learning rate is multiplied by --lr-gamma, such "
            "as 25,35 (awd-lstm-lm: when)",
        },
    )
    lr_gamma: float = field(
        default=0.1,
        metadata={
            "range": above(0),
            "help": "factor applied to the learning rate after each of --milestones, above 0 (awd-lstm-lm: "
            "0.1)",
        },
    )
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("multi_step", dataclass=MultiStepConfig)
class MultiStep(FairseqLRScheduler):
    """lr_e = lr * gamma^(number of milestones m < e) in epoch e = 1, 2, ... (awd-lstm-lm: --when)."""

    def __init__(self, cfg: MultiStepConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        if not cfg.milestones:
            raise Refused("--lr-scheduler multi_step needs --milestones: give epochs, such as 25,35")

    def step_begin_epoch(self, epoch: int) -> None:
        passed = sum(milestone < epoch for milestone in self.cfg.milestones)
        self.optimizer.set_lr(self.cfg.lr[0] * self.cfg.lr_gamma**passed)
