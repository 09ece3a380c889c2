"""AWD-LSTM, the weight-dropped LSTM (Merity, Keskar and Socher 2017, arXiv:1708.02182).

The LSTMs of Zaremba et al. (2014, arXiv:1409.2329) have the same layers with other dropouts. Options make
them the layers of OpenSeq2Seq (layer normalisation), of an LSTMP (projection) or of an F-LSTM (factorised
matrices).
"""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.models import register_model

from lm_plugins.errors import Refused
from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.factorised_lstm import FactorisedLSTM
from lm_plugins.modules.layer_norm_lstm import LayerNormLSTM
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM
from lm_plugins.ranges import FINITE, PROBABILITY, at_least


@dataclass
class AWDLSTMConfig(RecurrentDecoderConfig):
    """Options of AWD-LSTM and of the other LSTMs."""

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
    layer_norm: bool = field(
        default=False,
        metadata={
            "help": "normalise the gates and the cell of each layer at each step; slower, because no fused "
            "kernel supports it (OpenSeq2Seq: layer_norm of WeightDropLayerNormBasicLSTMCell)"
        },
    )
    memory_cells: Optional[int] = field(
        default=None,
        metadata={
            "range": at_least(1),
            "help": "memory cells per layer, whose outputs are projected onto its units; must exceed the "
            "number of units; default: one cell per unit and no projection (LSTMP, Sak et al. 2014; "
            "LSTM-2048-512: 2048 with --decoder-hidden-size 512)",
        },
    )
    lstm_rank: Optional[int] = field(
        default=None,
        metadata={
            "range": at_least(1),
            "help": "factorise the matrix [W U] of each layer with this rank, at least 1, to save "
            "parameters; default: no factorisation (F-LSTM, Kuchaiev and Ginsburg 2017)",
        },
    )


@register_model("awd_lstm", dataclass=AWDLSTMConfig)
class AWDLSTM(RecurrentLanguageModel):
    """Embedding, weight-dropped LSTM layers and output layer; see :class:`RecurrentDecoder`."""

    config = AWDLSTMConfig

    @classmethod
    def build_layer(cls, cfg: AWDLSTMConfig, index: int, n_in: int, n_out: int) -> RecurrentLayer:
        """Return the layer that the options ask for.

        Raises:
            Refused: the options do not fit each other or the sizes.
        """
        options = {
            "weight_dropout": cfg.weight_dropout,
            "input_weight_dropout": cfg.input_weight_dropout,
            "candidate_dropout": cfg.candidate_dropout,
            "forget_bias": cfg.forget_bias,
            "init_range": cfg.rnn_init_range,
        }
        if cfg.layer_norm and (cfg.memory_cells or cfg.lstm_rank):
            raise Refused(
                "--layer-norm supports neither --memory-cells nor --lstm-rank: leave one of them out"
            )
        try:
            if cfg.layer_norm:
                return LayerNormLSTM(n_in, n_out, **options)
            options["memory_cells"] = cfg.memory_cells
            if cfg.lstm_rank:
                return FactorisedLSTM(n_in, n_out, rank=cfg.lstm_rank, **options)
            return WeightDropLSTM(n_in, n_out, **options)
        except ValueError as error:
            raise Refused(f"layer {index + 1}: {error}") from error
