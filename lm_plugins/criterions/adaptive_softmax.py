"""Cross entropy over an adaptive softmax."""

from fairseq.criterions import register_criterion

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig
from lm_plugins.modules.adaptive_softmax import AdaptiveSoftmax


@register_criterion("adaptive_softmax", dataclass=LMCrossEntropyConfig)
class AdaptiveSoftmaxCrossEntropy(LMCrossEntropy):
    """Exact like :class:`LMCrossEntropy`, of a model that has the layer (``--output-layer``)."""

    output_layer = AdaptiveSoftmax
