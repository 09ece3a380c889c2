"""Adagrad for models with sparse gradients."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, List, Optional

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II

from lm_plugins.optim.large_tables import LargeTables, own_rows
from lm_plugins.ranges import at_least


@dataclass
class SparseAdagradConfig(FairseqDataclass):
    weight_decay: float = field(
        default=0.0,
        metadata={
            "range": at_least(0),
            "help": "L2 penalty on all parameters, at least 0; must be 0 with sparse gradients",
        },
    )
    initial_accumulator: float = field(
        default=1.0,
        metadata={
            "range": at_least(0),
            "help": "initial value of the sums of squared gradients, at least 0 (Jozefowicz et al. 2016: 1)",
        },
    )
    lr: List[float] = II("optimization.lr")


@register_optimizer("sparse_adagrad", dataclass=SparseAdagradConfig)
class SparseAdagrad(LargeTables, FairseqOptimizer):
    """torch's Adagrad (Duchi et al. 2011), which updates only the rows that a sparse gradient holds.

    fairseq's own `adagrad` cannot clip sparse gradients.
    """

    def __init__(self, cfg: SparseAdagradConfig, params: Iterable[torch.nn.Parameter]) -> None:
        super().__init__(cfg)
        self._optimizer = torch.optim.Adagrad(params, **self.optimizer_config)

    @property
    def optimizer_config(self) -> dict[str, float]:
        return {
            "lr": self.cfg.lr[0],
            "weight_decay": self.cfg.weight_decay,
            "initial_accumulator_value": self.cfg.initial_accumulator,
        }

    def load_state_dict(
        self, state_dict: dict[str, Any], optimizer_overrides: Optional[dict[str, Any]] = None
    ) -> None:
        state = {
            index: {name: own_rows(p, x) for name, x in state_dict["state"].get(index, {}).items()}
            for index, p in enumerate(self.params)
        }
        super().load_state_dict({**state_dict, "state": state}, optimizer_overrides)
