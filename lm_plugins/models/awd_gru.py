"""The weight-dropped GRU of awd-lstm-lm (``--model GRU``), with the regularisation of AWD-LSTM."""

from dataclasses import dataclass

from fairseq.models import register_model

from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.weight_drop_gru import WeightDropGRU


@dataclass
class AWDGRUConfig(RecurrentDecoderConfig):
    """The options of all recurrent language models; the defaults are those of awd-lstm-lm."""


@register_model("awd_gru", dataclass=AWDGRUConfig)
class AWDGRU(RecurrentLanguageModel):
    """Embedding, weight-dropped GRU layers and output layer; see :class:`RecurrentDecoder`."""

    config = AWDGRUConfig

    @classmethod
    def build_layer(cls, cfg: AWDGRUConfig, index: int, n_in: int, n_out: int) -> WeightDropGRU:
        return WeightDropGRU(n_in, n_out, weight_dropout=cfg.weight_dropout, init_range=cfg.rnn_init_range)
