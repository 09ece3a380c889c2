"""The simple recurrent network of the Torch blog's post on NCE (Leonard 2016) as a language model.

Equations 1 and 2 of the post are one layer and a softmax. The model has the dropouts of all models, which can
be set to 0.
"""

from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum
from fairseq.models import register_model

from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.simple_rnn import NONLINEARITIES, SimpleRNN


@dataclass
class SimpleRNNConfig(RecurrentDecoderConfig):
    """Options of the simple recurrent network."""

    nonlinearity: ChoiceEnum(list(NONLINEARITIES)) = field(
        default="sigmoid",
        metadata={
            "help": "non-linearity of the hidden units; sigmoid: the logistic function (Torch post, equation "
            "1); tanh: that of PyTorch's RNN, which fused kernels support"
        },
    )


@register_model("simple_rnn", dataclass=SimpleRNNConfig)
class SimpleRNNModel(RecurrentLanguageModel):
    """Embedding, simple recurrent layers and output layer; see :class:`RecurrentDecoder`."""

    config = SimpleRNNConfig

    @classmethod
    def build_layer(cls, cfg: SimpleRNNConfig, index: int, n_in: int, n_out: int) -> SimpleRNN:
        return SimpleRNN(
            n_in,
            n_out,
            nonlinearity=str(cfg.nonlinearity),
            weight_dropout=cfg.weight_dropout,
            init_range=cfg.rnn_init_range,
        )
