"""PyTorch's Adam, in one kernel for all parameters, with L2 regularisation or decoupled weight decay."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, List

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import register_optimizer
from omegaconf import II
from torch import nn

from lm_plugins.errors import Refused
from lm_plugins.optim.host_norm import HostNorm
from lm_plugins.ranges import PROBABILITY, above, at_least, check


@dataclass
class TorchAdamConfig(FairseqDataclass):
    adam_betas: Any = field(
        default=(0.9, 0.999),
        metadata={"range": PROBABILITY, "help": "decay rates of the two moments, each in [0, 1)"},
    )
    adam_eps: float = field(
        default=1e-8, metadata={"range": above(0), "help": "constant added to the denominator, above 0"}
    )
    weight_decay: float = field(
        default=0.0, metadata={"range": at_least(0), "help": "weight decay, at least 0"}
    )
    decoupled_weight_decay: bool = field(
        default=False,
        metadata={
            "help": "shrink the weights by lr x --weight-decay (AdamW, Loshchilov and Hutter 2019, "
            "arXiv:1711.05101) instead of adding --weight-decay x weights to the gradient (L2)"
        },
    )
    lr: List[float] = II("optimization.lr")


@register_optimizer("torch_adam", dataclass=TorchAdamConfig)
class TorchAdam(HostNorm):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) of ``torch.optim``.

    m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w = w - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    With L2 regularisation g is the clipped gradient plus weight_decay w, as in awd-lstm-lm. fairseq's
    ``adam`` has only the decoupled form, adds eps before the bias correction, and updates one parameter after
    another.
    """

    def __init__(self, cfg: TorchAdamConfig, params: Iterable[nn.Parameter]) -> None:
        super().__init__(cfg)
        self._optimizer = torch.optim.Adam(list(params), fused=True, **self.optimizer_config)

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """The settings that override those of a checkpoint."""
        betas = self.cfg.adam_betas
        try:
            b1, b2 = (
                float(beta) for beta in (betas.strip("()").split(",") if isinstance(betas, str) else betas)
            )
        except (TypeError, ValueError):
            raise Refused(f"--adam-betas is {betas}: give two numbers, such as (0.9, 0.999)") from None
        check("--adam-betas", (b1, b2), PROBABILITY)
        return {
            "lr": self.cfg.lr[0],
            "betas": (b1, b2),
            "eps": self.cfg.adam_eps,
            "weight_decay": self.cfg.weight_decay,
            "decoupled_weight_decay": self.cfg.decoupled_weight_decay,
        }

    @property
    def supports_flat_params(self) -> bool:
        return True
