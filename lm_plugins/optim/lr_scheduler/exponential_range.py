"""The learning rate rises exponentially with the updates, for a range test."""

from dataclasses import dataclass, field
from typing import List, Optional

from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from lm_plugins.errors import Refused
from lm_plugins.ranges import above, at_least, check_config


@dataclass
class ExponentialRangeConfig(FairseqDataclass):
    lr_max: float = field(
        default=100.0,
        metadata={"range": above(0), "help": "learning rate at update --range-updates; must exceed --lr"},
    )
    range_updates: int = field(
        default=200,
        metadata={
            "range": at_least(2),
            "help": "number of updates over which the learning rate rises from --lr to --lr-max, at least 2",
        },
    )
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("exponential_range", dataclass=ExponentialRangeConfig)
class ExponentialRange(FairseqLRScheduler):
    r"""lr_k = lr (lr_max / lr)^((k - 1) / (N - 1)) in update k = 1, 2, ..., N, and lr_max from then on.

    The schedule of a learning-rate range test (Smith 2015, arXiv:1506.01186), with the exponential
    rise of fastai's; N is `range_updates`.

    Raises:
        Refused: a number is out of range, or --lr-max is not above --lr
    """

    def __init__(self, cfg: ExponentialRangeConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        check_config(cfg, ExponentialRangeConfig)
        if not 0 < cfg.lr[0] < cfg.lr_max:
            raise Refused(
                f"--lr-max is {cfg.lr_max:g}: it must be above --lr ({cfg.lr[0]:g}), which must be positive"
            )

    def step(self, epoch: int, val_loss: Optional[float] = None) -> float:
        return self.optimizer.get_lr()

    def step_update(self, num_updates: int) -> float:
        share = min(1.0, num_updates / (self.cfg.range_updates - 1))  # num_updates counts earlier updates
        self.optimizer.set_lr(self.cfg.lr[0] * (self.cfg.lr_max / self.cfg.lr[0]) ** share)
        return self.optimizer.get_lr()
