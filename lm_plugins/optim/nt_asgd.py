"""NT-ASGD, non-monotonically triggered averaged SGD."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, List, Optional

import torch
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II

from lm_plugins.optim.averaged_sgd import AveragedSGD
from lm_plugins.optim.large_tables import LargeTables
from lm_plugins.optim.two_tailed import TwoTailedSGD
from lm_plugins.optim.validation import on_validation, with_inner
from lm_plugins.ranges import PROBABILITY, at_least

logger = logging.getLogger(__name__)


@dataclass
class NTASGDConfig(FairseqDataclass):
    weight_decay: float = field(
        default=0.0,
        metadata={
            "range": at_least(0),
            "help": "L2 penalty on all parameters, at least 0 (awd-lstm-lm: wdecay, 1.2e-6)",
        },
    )
    nonmono: int = field(
        default=5,
        metadata={
            "range": at_least(0),
            "help": "number N, at least 0: the trigger of --averaging fires when a validation loss is above "
            "the minimum of all earlier ones except the last N (awd-lstm-lm: nonmono, 5)",
        },
    )
    averaging: ChoiceEnum(["triggered", "always", "never", "two_tailed", "ema"]) = field(
        default="triggered",
        metadata={
            "help": "triggered: start averaging when the trigger of --nonmono fires (NT-ASGD); always: "
            "average from the first update and stop training when the trigger fires (fine-tuning); never: "
            "plain SGD; two_tailed: average from the first update over a length that validation adapts "
            "(two-tailed averaging, Melis 2022, arXiv:2209.12581), which takes two to three more passes over "
            "the first --valid-subset at each validation; ema: take an exponential moving average from the "
            "first update, with --averaging-decay"
        },
    )
    averaging_decay: float = field(
        default=0.999,
        metadata={
            "range": PROBABILITY,
            "help": "decay D of --averaging ema, in [0, 1); the average is over 1 / (1 - D) updates",
        },
    )
    lr: List[float] = II("optimization.lr")


@register_optimizer("nt_asgd", dataclass=NTASGDConfig)
class NTASGD(LargeTables, FairseqOptimizer):
    """SGD until the validation loss stops improving, then the average of the iterates.

    After each validation with loss v, the history h_1 .. h_k holding the losses before it,

        k > n  and  v > min(h_1 .. h_{k-n})

    starts the averaging, with n = `nonmono`; v then joins the history. Source: Merity, Keskar and Socher
    2017 (arXiv:1708.02182). The rule is the one that the paper's code applies and its authors confirmed;
    the formula in the paper has a misprint.

    v is the unrounded loss of the first validation subset over all ranks, without regularisation.
    :class:`AveragedSGD` computes the average, and training continues with the iterates. Fine-tuning
    (`averaging` "always") averages from the first update, and the same rule ends training after the epoch.
    With `averaging` "two_tailed" there is no trigger: :class:`TwoTailedSGD` averages over a length that it
    adapts. With "ema" there is none either, and the average is exponential.

    The task puts the average into the model before it validates or saves, and the iterate before each
    training step (:mod:`lm_plugins.optim.averaged_sgd`).
    """

    def __init__(self, cfg: NTASGDConfig, params: Iterable[torch.nn.Parameter]) -> None:
        super().__init__(cfg)
        averaging = str(self.cfg.averaging)
        if averaging == "two_tailed":
            self._optimizer = TwoTailedSGD(params, **self.optimizer_config)
        else:
            decay = self.cfg.averaging_decay if averaging == "ema" else None
            self._optimizer = AveragedSGD(params, **self.optimizer_config, decay=decay)
        self.history: list[float] = []
        self.finished = False  # the rule has fired: training ends with the epoch
        self.averages_from_start = averaging in ("always", "ema")
        self.start()
        on_validation(self, self.validated)

    def start(self) -> None:
        """Start averaging if it has no trigger."""
        if self.averages_from_start:
            self.optimizer.start_averaging()

    @property
    def optimizer_config(self) -> dict[str, float]:
        return {"lr": self.cfg.lr[0], "weight_decay": self.cfg.weight_decay}

    def validated(self, loss: float) -> None:
        """Apply the rule to `loss`, which is in any unit and the same on all ranks."""
        n = self.cfg.nonmono
        best = min(self.history[: max(0, len(self.history) - n)], default=None)
        self.history.append(loss)
        if best is None or loss <= best:
            return
        reason = (
            f"validation loss {loss:.5f} is above {best:.5f}, the minimum of all earlier ones except the "
            f"last {n}"
        )
        if str(self.cfg.averaging) == "triggered" and self.optimizer.averaged is None:
            logger.info(f"{reason}: averaging starts")
            self.optimizer.start_averaging()
        elif str(self.cfg.averaging) == "always":
            logger.info(f"{reason}: training stops after this epoch")
            self.finished = True

    def state_dict(self) -> dict[str, Any]:
        kind = {"averaging": str(self.cfg.averaging)}
        return {**super().state_dict(), **kind, "history": self.history, "finished": self.finished}

    def load_state_dict(
        self, state_dict: dict[str, Any], optimizer_overrides: Optional[dict[str, Any]] = None
    ) -> None:
        """Restore the state. An average of another kind is not continued, except by two-tailed averaging."""
        super().load_state_dict(state_dict, optimizer_overrides)
        kind = str(self.cfg.averaging)
        is_same = state_dict.get("averaging", kind) == kind  # earlier versions did not save it
        self.history, self.finished = list(state_dict["history"]), state_dict["finished"] and is_same
        if kind == "never" or not (is_same or kind == "two_tailed"):
            self.optimizer.stop_averaging()
        self.start()


def has_finished(optimizer: FairseqOptimizer) -> bool:
    """Return whether `optimizer`, or the one inside it, has ended fine-tuning with the current epoch."""
    return any(getattr(subject, "finished", False) for subject in with_inner(optimizer))
