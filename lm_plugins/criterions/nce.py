"""Noise contrastive estimation and sampled softmaxes, whose training costs do not grow with V."""

import logging
import math
from dataclasses import dataclass, field

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import FairseqTask
from torch import Tensor

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig
from lm_plugins.data.dictionary import sorted_by_count
from lm_plugins.errors import Refused
from lm_plugins.modules.noise import FLOOR, LogUniform, Unigram
from lm_plugins.modules.softmax import Softmax
from lm_plugins.ops.distinct_words import distinct_words, log_expected_count
from lm_plugins.ops.noise_contrast import noise_contrastive_estimation, sampled_softmax, tf_sampled_softmax
from lm_plugins.ranges import at_least
from lm_plugins.ranks import rank_and_world

logger = logging.getLogger(__name__)


@dataclass
class NCEConfig(LMCrossEntropyConfig):
    nce_k: int = field(
        default=100,
        metadata={
            "range": at_least(1),
            "help": "number of noise words per target, from 1 to the vocabulary size (Torch on the Google "
            "Billion Words: 400)",
        },
    )
    nce_loss: ChoiceEnum(["nce", "sampled_softmax", "tf_sampled_softmax"]) = field(
        default="nce",
        metadata={
            "help": "nce: noise contrastive estimation; sampled_softmax: softmax whose denominator is "
            "estimated from the noise words (Blanc and Rendle 2018); tf_sampled_softmax: softmax over the "
            "target and the noise words, each corrected by its expected count "
            "(TensorFlow: sampled_softmax_loss)"
        },
    )
    nce_noise: ChoiceEnum(["unigram", "log_uniform"]) = field(
        default="unigram",
        metadata={
            "help": "distribution of the noise words; unigram: counts in the training data; log_uniform: "
            "the distribution of TensorFlow's log-uniform sampler, which needs a dictionary sorted by "
            "decreasing frequency"
        },
    )
    nce_distinct_noise: bool = field(
        default=False,
        metadata={
            "help": "draw noise words until --nce-k of them are distinct, and correct the scores by their "
            "expected counts (TensorFlow: unique); slow unless --nce-shared-noise is given; default: "
            "independent words"
        },
    )
    nce_noise_power: float = field(
        default=1.0,
        metadata={
            "range": at_least(0),
            "help": "exponent of the counts in the unigram noise, at least 0 (word2vec: 0.75)",
        },
    )
    nce_shared_noise: bool = field(
        default=False,
        metadata={
            "help": "draw one set of noise words per window; default: one set per time step, shared by all "
            "streams (Torch: batchnoise), which learns much faster"
        },
    )
    nce_row_noise: bool = field(
        default=False,
        metadata={"help": "draw a separate set of noise words for each target (Torch: rownoise); slow"},
    )


@register_criterion("nce", dataclass=NCEConfig)
class NCE(LMCrossEntropy):
    """Train with noise words, drawn again for each step and process; validate with the exact loss.

    During training, `loss` is the contrastive loss in bits per target, and no perplexity is logged.

    Raises:
        Refused: --nce-k is out of range, two kinds of shared noise are given, or the dictionary does not
            have the order that log-uniform noise needs.
    """

    output_bias_init = "uniform"  # logits are probabilities without a normaliser, even at the start

    def __init__(self, cfg: NCEConfig, task: FairseqTask):
        super().__init__(task, cfg.ar_alpha, cfg.tar_beta, cfg.sentence_avg, cfg.output_l2)
        words = len(task.target_dictionary)
        if not 0 < cfg.nce_k <= words:
            raise Refused(f"--nce-k is {cfg.nce_k}: it must be from 1 to {words}, the size of the dictionary")
        if cfg.nce_distinct_noise and cfg.nce_k > words // 2:
            raise Refused(
                f"--nce-distinct-noise would take too many draws to find {cfg.nce_k} distinct words of "
                f"{words}: give an --nce-k of at most {words // 2}, or leave out --nce-distinct-noise"
            )
        if cfg.nce_shared_noise and cfg.nce_row_noise:
            raise Refused(
                "--nce-shared-noise and --nce-row-noise are mutually exclusive: give only one of them"
            )
        if str(cfg.nce_noise) == "log_uniform" and not sorted_by_count(task.target_dictionary):
            raise Refused(
                "--nce-noise log_uniform needs a dictionary sorted by decreasing frequency, and this one is "
                "not: use --nce-noise unigram, or binarize with fairseq-preprocess without --srcdict"
            )
        self.cfg, self.task, self.noise = cfg, task, None
        self.takes_normaliser = str(cfg.nce_loss) == "nce"

    @classmethod
    def build_criterion(cls, cfg: NCEConfig, task: FairseqTask) -> "NCE":
        return cls(cfg, task)

    def training_loss(self, head: Softmax, features: Tensor, target: Tensor) -> Tensor:
        noise, tries = self.noise_words(*target.shape, target.device)
        score = head.scores(features, target.unsqueeze(-1)).squeeze(-1)  # [T, B]
        noise_score = head.scores(features, noise)  # [T, B, K]
        if noise.dim() == 2:  # broadcasts to [T, B, K]
            noise, tries = noise.unsqueeze(1), None if tries is None else tries.unsqueeze(1)
        noise_log_q = self.log_q(noise, None if tries is None else tries.unsqueeze(-1))
        loss, hit = str(self.cfg.nce_loss), noise == target.unsqueeze(-1)
        if loss == "sampled_softmax":
            return sampled_softmax(score, noise_score, noise_log_q, hit)
        log_q = self.log_q(target, tries)
        if loss == "tf_sampled_softmax":
            return tf_sampled_softmax(score, log_q, noise_score, noise_log_q, hit)
        head.estimate_log_z(noise_score, noise_log_q)
        return noise_contrastive_estimation(score, log_q, noise_score, noise_log_q, head.log_z)

    def log_q(self, words: Tensor, tries: Tensor | None) -> Tensor:
        """Return ln q of `words`, whose expected number among the K noise words is K q.

        Args:
            tries: number of draws in which distinct noise words were found; None: they are independent
        """
        log_q = self.noise.log_prob(words)
        if tries is None:
            return log_q
        return (log_expected_count(log_q, tries) - math.log(self.cfg.nce_k)).to(log_q.dtype)

    def noise_words(self, steps: int, streams: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Draw the noise words of this process: [K], [T, K] or [T, B, K].

        Every process draws the words of all processes, and takes its own.

        Returns:
            (words, number of draws of each set of K distinct words, or None for independent words)
        """
        if self.noise is None:
            self.noise = self.noise_distribution().to(device)
        shape = [steps, self.cfg.nce_k]
        if self.cfg.nce_shared_noise:
            shape = [self.cfg.nce_k]
        if self.cfg.nce_row_noise:
            shape = [steps, streams, self.cfg.nce_k]
        rank, world = rank_and_world()
        if not self.cfg.nce_distinct_noise:
            return self.noise.draw((world, *shape))[rank], None
        words, tries = distinct_words(self.noise.draw, (world, *shape))
        return words[rank], tries[rank]

    def noise_distribution(self) -> Unigram | LogUniform:
        """Return the distribution that --nce-noise names."""
        if str(self.cfg.nce_noise) == "log_uniform":
            return LogUniform(len(self.task.target_dictionary))
        counts = self.task.training_counts()
        missing = int((counts < FLOOR).sum())
        if missing:
            logger.info(
                f"{missing:,} words never occur in the training data: the noise distribution counts each as "
                f"{FLOOR:g}"
            )
        return Unigram(counts, self.cfg.nce_noise_power)
