"""Cross entropy over a mixture of softmaxes."""

from fairseq.criterions import register_criterion

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy, LMCrossEntropyConfig
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes


@register_criterion("mos", dataclass=LMCrossEntropyConfig)
class MoSCrossEntropy(LMCrossEntropy):
    """Exact like :class:`LMCrossEntropy`, of a model that has the layer (``--output-layer``)."""

    output_layer = MixtureOfSoftmaxes
