"""Cross entropy over a mixture of softmaxes."""

from fairseq.criterions import register_criterion

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig


@register_criterion("mos", dataclass=LMCrossEntropyConfig)
class MoSCrossEntropy(LMCrossEntropy):
    """The exact loss for models with ``--output-layer mos``."""
