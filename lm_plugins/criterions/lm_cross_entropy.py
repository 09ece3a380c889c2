"""Cross entropy of the next token, with AWD-LSTM's activation regularisation.

    loss = sum over N targets of [-ln p(target) + alpha * mean (m * h_t)^2
                                  + beta * T / (T - 1) * mean (h_t - h_t-1)^2 + l / 2 |W|^2]

with h the output of the last layer [T, B, C], m its dropout mask, and means over its C units: AR and TAR, see
:mod:`lm_plugins.criterions.activation_regularisation`. fairseq divides the loss by the number of targets on
all processes. W is the output matrix, and l the weight of its L2 regularisation, as in OpenSeq2Seq. The
regularisation is logged separately as `reg`: `loss`, `nll_loss` and `ppl` do not contain it.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import FairseqTask
from omegaconf import II
from torch import Tensor, nn

from lm_plugins.criterions.activation_regularisation import (
    activation_regularisation,
    temporal_activation_regularisation,
)
from lm_plugins.errors import Refused
from lm_plugins.host_values import host_values
from lm_plugins.modules.head import Loss
from lm_plugins.ranges import at_least


@dataclass
class LMCrossEntropyConfig(FairseqDataclass):
    ar_alpha: float = field(
        default=0.0,
        metadata={
            "range": at_least(0),
            "help": "weight of activation regularisation, at least 0 (AR; awd-lstm-lm: alpha, 2 on words)",
        },
    )
    tar_beta: float = field(
        default=0.0,
        metadata={
            "range": at_least(0),
            "help": "weight of temporal activation regularisation, at least 0 (TAR; awd-lstm-lm: beta, 1 on "
            "words)",
        },
    )
    output_l2: float = field(
        default=0.0,
        metadata={
            "range": at_least(0),
            "help": "weight l of the L2 regularisation of the output matrix W alone, at least 0; adds "
            "l / 2 |W|^2 to the mean loss (OpenSeq2Seq: 2e-6)",
        },
    )
    sentence_avg: bool = II("optimization.sentence_avg")


@register_criterion("lm_cross_entropy", dataclass=LMCrossEntropyConfig)
class LMCrossEntropy(FairseqCriterion):
    """The exact negative log-likelihood over the whole vocabulary: nats in the code, bits in the log.

    A subclass that trains with another loss defines a method `training_loss`. Validation uses the exact loss.

    Raises:
        Refused: ``--sentence-avg`` is given.
    """

    training_loss: Loss | None = None  # in place of -ln p(target)
    takes_normaliser: bool = False  # supports --nce-z
    output_bias_init: str | None = None  # the --output-bias-init that this loss needs; None: any

    def __init__(
        self,
        task: FairseqTask,
        ar_alpha: float,
        tar_beta: float,
        sentence_avg: bool,
        output_l2: float,
    ):
        super().__init__(task)
        if sentence_avg:
            raise Refused(
                "--sentence-avg would divide the loss by the number of streams instead of tokens: leave it "
                "out"
            )
        self.ar_alpha, self.tar_beta, self.output_l2 = ar_alpha, tar_beta, output_l2

    def forward(self, model: nn.Module, sample: dict[str, Any]) -> tuple[Tensor, int, dict[str, Any]]:
        """Return the sum of the losses in nats, the number of targets, and the values to log."""
        loss = self.training_loss if model.training else None
        log_prob, extra = model(**sample["net_input"], loss=loss)
        log_prob, target = log_prob.squeeze(-1), sample["target"]
        if loss is not None:  # a head ignores the pads itself
            log_prob = log_prob.masked_fill(target.eq(self.padding_idx), 0)
        nll, ntokens = -log_prob.sum(), sample["ntokens"]
        terms = []
        if model.training:
            counted = None if sample.get("full") else target.ne(self.padding_idx).t()
            extra = {**extra, "counted": counted}
            terms = [term * ntokens for term in self.regularisation(extra)]
            if self.output_l2:
                matrix = model.decoder.output_head.vocabulary.weight
                terms.append(0.5 * self.output_l2 * matrix.float().pow(2).sum() * ntokens)
        reg = sum(terms[1:], start=terms[0]) if terms else nll.new_zeros(())
        logged = nll.data  # one tensor, which is copied to the host once
        logging_output = {
            "loss": logged,
            "reg": reg.data,
            "ntokens": ntokens,
            "nsentences": sample["nsentences"],
            "sample_size": ntokens,
        }
        if loss is None:
            logging_output["nll_loss"] = logged
        return nll + reg, ntokens, logging_output

    def regularisation(self, extra: dict[str, Tensor]) -> list[Tensor]:
        """Return AR plus TAR of one window, in nats per target; an empty list if neither applies."""
        terms, counted = [], extra["counted"]
        if self.ar_alpha:
            terms.append(self.ar_alpha * activation_regularisation(extra["dropped_rnn_output"], counted))
        if self.tar_beta and len(extra["rnn_output"]) > 1:
            tar = temporal_activation_regularisation(extra["rnn_output"], counted, extra.get("reset"))
            terms.append(self.tar_beta * tar)
        return [sum(terms[1:], start=terms[0])] if terms else []

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log `loss` and `reg`, in bits per token; if the loss is exact, also `nll_loss` and `ppl`."""
        names = [name for name in ("loss", "nll_loss", "reg") if name in logging_outputs[0]]
        sums = dict.fromkeys(("ntokens", *names), 0.0)
        for log in host_values(logging_outputs, ("ntokens", *names)):
            for name, value in log.items():
                sums[name] += value
        ntokens = sums["ntokens"]
        for name in names:
            metrics.log_scalar(name, sums[name] / ntokens / math.log(2), ntokens, round=6)
        if "nll_loss" in names:
            metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg, 4))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
