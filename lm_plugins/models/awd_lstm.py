"""AWD-LSTM, the weight-dropped LSTM (Merity, Keskar and Socher 2017, arXiv:1708.02182).

The LSTMs of Zaremba et al. (2014, arXiv:1409.2329) and of OpenSeq2Seq have the same layers with other
dropouts.
"""

from dataclasses import dataclass, field

from fairseq.models import register_model

from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM
from lm_plugins.ranges import FINITE, PROBABILITY


@dataclass
class AWDLSTMConfig(RecurrentDecoderConfig):
    """Options of AWD-LSTM; those that name OpenSeq2Seq are for its LSTMs."""

    input_weight_dropout: float = field(
        default=0.0,
        metadata={
            "range": PROBABILITY,
            "help": "DropConnect probability on the input-to-hidden weights, in [0, 1) (OpenSeq2Seq: 1 - "
            "input_weight_keep_prob)",
        },
    )
    candidate_dropout: float = field(
        default=0.0,
        metadata={
            "range": PROBABILITY,
            "help": "recurrent dropout probability on the LSTM's candidate, in [0, 1), with a new mask at "
            "each time step; slower, because no fused kernel supports it (OpenSeq2Seq: 1 - "
            "recurrent_keep_prob)",
        },
    )
    forget_bias: float = field(
        default=0.0,
        metadata={
            "range": FINITE,
            "help": "value added to the initial bias of the forget gate (OpenSeq2Seq: 1)",
        },
    )


@register_model("awd_lstm", dataclass=AWDLSTMConfig)
class AWDLSTM(RecurrentLanguageModel):
    """Embedding, weight-dropped LSTM layers and output layer; see :class:`RecurrentDecoder`."""

    config = AWDLSTMConfig

    @classmethod
    def build_layer(cls, cfg: AWDLSTMConfig, index: int, n_in: int, n_out: int) -> WeightDropLSTM:
        return WeightDropLSTM(
            n_in,
            n_out,
            weight_dropout=cfg.weight_dropout,
            input_weight_dropout=cfg.input_weight_dropout,
            candidate_dropout=cfg.candidate_dropout,
            forget_bias=cfg.forget_bias,
            init_range=cfg.rnn_init_range,
        )
