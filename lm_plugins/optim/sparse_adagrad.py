"""Adagrad for models with sparse gradients."""

from dataclasses import dataclass, field
from typing import List

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II

from lm_plugins.optim.large_tables import LargeTables, own_rows


@dataclass
class SparseAdagradConfig(FairseqDataclass):
    weight_decay: float = field(
        default=0.0, metadata={"help": "L2 penalty on all parameters; must be 0 with sparse gradients"}
    )
    initial_accumulator: float = field(
        default=1.0,
        metadata={"help": "initial value of the sums of squared gradients (Jozefowicz et al. 2016: 1)"},
    )
    lr: List[float] = II("optimization.lr")


@register_optimizer("sparse_adagrad", dataclass=SparseAdagradConfig)
class SparseAdagrad(LargeTables, FairseqOptimizer):
    """torch's Adagrad (Duchi et al. 2011), which updates the rows of a sparse gradient alone.

    fairseq's own `adagrad` cannot clip such gradients.
    """

    def __init__(self, cfg, params):
        super().__init__(cfg)
        self._optimizer = torch.optim.Adagrad(params, **self.optimizer_config)

    @property
    def optimizer_config(self):
        return {
            "lr": self.cfg.lr[0],
            "weight_decay": self.cfg.weight_decay,
            "initial_accumulator_value": self.cfg.initial_accumulator,
        }

    def load_state_dict(self, state_dict, optimizer_overrides=None):
        of = {
            index: {name: own_rows(p, part) for name, part in state_dict["state"].get(index, {}).items()}
            for index, p in enumerate(self.params)
        }
        super().load_state_dict({**state_dict, "state": of}, optimizer_overrides)
