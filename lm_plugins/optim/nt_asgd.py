"""NT-ASGD, non-monotonically triggered averaged SGD."""

import logging
from dataclasses import dataclass, field
from typing import List

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II

from lm_plugins.optim.averaged_sgd import AveragedSGD
from lm_plugins.optim.large_tables import LargeTables
from lm_plugins.optim.validation import on_validation

logger = logging.getLogger(__name__)

STOP = -1.0  # a learning rate not above --stop-min-lr, whose default this is


@dataclass
class NTASGDConfig(FairseqDataclass):
    weight_decay: float = field(
        default=0.0, metadata={"help": "L2 penalty on all parameters (awd-lstm-lm: wdecay, 1.2e-6)"}
    )
    nonmono: int = field(
        default=5,
        metadata={
            "help": "trigger of --averaging: it fires when a validation loss is above the minimum of all "
            "earlier ones except the last N (awd-lstm-lm: nonmono, 5)"
        },
    )
    averaging: ChoiceEnum(["triggered", "always", "never"]) = field(
        default="triggered",
        metadata={
            "help": "triggered: start averaging when the trigger of --nonmono fires (NT-ASGD); always: "
            "average from the first update and stop training when the trigger fires (fine-tuning); never: "
            "plain SGD"
        },
    )
    lr: List[float] = II("optimization.lr")


@register_optimizer("nt_asgd", dataclass=NTASGDConfig)
class NTASGD(LargeTables, FairseqOptimizer):
    """SGD until the validation loss stops improving, then the average of the iterates.

    After each validation with loss v, the history h_1 .. h_k holding the losses before it,

        k > n  and  v > min(h_1 .. h_{k-n})

    starts the averaging, with n = `nonmono`; v then joins the history (Merity, Keskar and Socher 2017,
    arXiv:1708.02182, by the rule that its code applies and its authors confirmed; the paper's own
    formula has a misprint). v is the unrounded loss over all ranks of the first validation subset,
    without regularisation. Averaging itself is :class:`AveragedSGD`'s; training goes on with the
    iterates. Fine-tuning (`averaging` "always") averages from the first update, and the same rule
    ends training after the epoch.

    The task has the model show the average whenever it validates or saves, and the iterate
    whenever it trains (:mod:`lm_plugins.optim.averaged_sgd`).
    """

    def __init__(self, cfg, params):
        super().__init__(cfg)
        self._optimizer = AveragedSGD(params, **self.optimizer_config)
        self.history = []
        self.finished = False
        if str(cfg.averaging) == "always":
            self.optimizer.start_averaging()
        on_validation(self, self.validated)

    @property
    def optimizer_config(self):
        return {"lr": self.cfg.lr[0], "weight_decay": self.cfg.weight_decay}

    def validated(self, loss):
        """Applies the rule to `loss`, in any unit; it must be the same on all ranks."""
        n = self.cfg.nonmono
        best = min(self.history[: max(0, len(self.history) - n)], default=None)
        self.history.append(loss)
        if best is None or loss <= best:
            return
        found = (
            f"validation loss {loss:.5f} is above {best:.5f}, the minimum of all earlier ones except the "
            f"last {n}"
        )
        if str(self.cfg.averaging) == "triggered" and self.optimizer.averaged is None:
            logger.info(f"{found}: averaging starts")
            self.optimizer.start_averaging()
        elif str(self.cfg.averaging) == "always":
            logger.info(f"{found}: training stops after this epoch")
            self.finished = True

    def get_lr(self):
        """The learning rate; after the end -1, which is how fairseq is told to stop."""
        return STOP if self.finished else super().get_lr()

    def state_dict(self):
        return {**super().state_dict(), "history": self.history, "finished": self.finished}

    def load_state_dict(self, state_dict, optimizer_overrides=None):
        super().load_state_dict(state_dict, optimizer_overrides)
        self.history, self.finished = list(state_dict["history"]), state_dict["finished"]
