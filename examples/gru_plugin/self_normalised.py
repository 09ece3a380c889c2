"""Cross entropy that drives the normaliser Z to 1 (Devlin et al. 2014, ACL P14-1129)."""

from dataclasses import dataclass, field

from fairseq.criterions import register_criterion
from fairseq.tasks import FairseqTask
from torch import Tensor

from gru_plugin.sigsoftmax import Sigsoftmax
from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig


@dataclass
class SelfNormalisedConfig(LMCrossEntropyConfig):
    self_norm_alpha: float = field(
        default=0.1, metadata={"help": "weight of (ln Z)^2 in training (Devlin et al. 2014: 0.1)"}
    )


@register_criterion("self_normalised", dataclass=SelfNormalisedConfig)
class SelfNormalised(LMCrossEntropy):
    """Train with -ln p(target) + alpha (ln Z)^2, and validate with -ln p(target)."""

    def __init__(
        self,
        task: FairseqTask,
        ar_alpha: float,
        tar_beta: float,
        sentence_avg: bool,
        output_l2: float,
        self_norm_alpha: float,
    ):
        super().__init__(task, ar_alpha, tar_beta, sentence_avg, output_l2)
        self.alpha = self_norm_alpha

    def training_loss(self, head: Sigsoftmax, features: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target: features [T, B, C], target [T, B] -> [T, B]."""
        scores = head.scores(features)
        log_z = scores.logsumexp(dim=-1)
        nll = log_z - scores.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return (nll + self.alpha * log_z.square()).masked_fill(target == head.padding_idx, 0)
