"""A learning rate that decays linearly from epoch to epoch."""

from dataclasses import dataclass, field
from typing import List

from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from lm_plugins.ranges import at_least, check_config


@dataclass
class LinearDecayConfig(FairseqDataclass):
    lr_end: float = field(
        default=0.001,
        metadata={"range": at_least(0), "help": "final learning rate, at least 0 (Torch: minlr, 0.001)"},
    )
    saturate_epochs: int = field(
        default=300,
        metadata={
            "range": at_least(1),
            "unit": "epochs",
            "help": "number of epochs over which the learning rate decays linearly to --lr-end, at least 1 "
            "(Torch: saturate, 300)",
        },
    )
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("linear_decay", dataclass=LinearDecayConfig)
class LinearDecay(FairseqLRScheduler):
    """lr_e = lr + (end - lr) min(1, (e - 1) / N) in epoch e = 1, 2, ...

    N is `saturate_epochs`. Source: noise-contrastive-estimate.lua of Torch's rnn library (`saturate`).

    Raises:
        Refused: a number is out of range
    """

    def __init__(self, cfg: LinearDecayConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        check_config(cfg, LinearDecayConfig)

    def step_begin_epoch(self, epoch: int) -> None:
        start, progress = self.cfg.lr[0], min(1.0, (epoch - 1) / self.cfg.saturate_epochs)
        self.optimizer.set_lr(start + (self.cfg.lr_end - start) * progress)
