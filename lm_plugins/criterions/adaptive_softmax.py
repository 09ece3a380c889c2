"""Cross entropy over an adaptive softmax."""

from fairseq.criterions import register_criterion

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig


@register_criterion("adaptive_softmax", dataclass=LMCrossEntropyConfig)
class AdaptiveSoftmaxCrossEntropy(LMCrossEntropy):
    """The exact loss for models with ``--output-layer adaptive_softmax``."""
