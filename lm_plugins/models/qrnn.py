"""The quasi-recurrent network of Bradbury et al. (2016, arXiv:1611.01576) as a language model.

Its regularisation is that of Merity, Keskar and Socher (2018, arXiv:1803.08240).
"""

from dataclasses import dataclass, field

from fairseq.models import register_model

from lm_plugins.models.decoder_config import RecurrentDecoderConfig
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.ranges import PROBABILITY, at_least, between


@dataclass
class QRNNConfig(RecurrentDecoderConfig):
    """Options of QRNN; the defaults are those for Penn Treebank."""

    decoder_hidden_size: int = field(
        default=1550,
        metadata={
            "range": at_least(1),
            "help": "units per recurrent layer, at least 1; for the last layer see --decoder-last-size "
            "(awd-lstm-lm: nhid, 1550 on PTB)",
        },
    )
    decoder_layers: int = field(
        default=4,
        metadata={
            "range": at_least(1),
            "help": "number of recurrent layers, at least 1 (awd-lstm-lm: nlayers, 4)",
        },
    )
    input_dropout: float = field(
        default=0.4,
        metadata={
            "range": PROBABILITY,
            "help": "dropout probability on the embedded input, in [0, 1) (awd-lstm-lm: dropouti, 0.4)",
        },
    )
    weight_dropout: float = field(
        default=0.1,
        metadata={
            "range": PROBABILITY,
            "help": "DropConnect probability on all weights of each layer, in [0, 1) (awd-lstm-lm: wdrop, "
            "0.1)",
        },
    )
    qrnn_window: int = field(
        default=2,
        metadata={
            "range": between(1, 2),
            "help": "convolution width of the first layer: 1 (the current input) or 2 (also the previous "
            "one); all other layers use 1 (pytorch-qrnn: window; awd-lstm-lm: 2)",
        },
    )
    zoneout: float = field(
        default=0.0,
        metadata={
            "range": PROBABILITY,
            "help": "probability that a unit keeps its previous state, in [0, 1) (awd-lstm-lm: 0)",
        },
    )


@register_model("qrnn", dataclass=QRNNConfig)
class QRNN(RecurrentLanguageModel):
    """Embedding, QRNN layers and output layer; see :class:`RecurrentDecoder`."""

    config = QRNNConfig

    @classmethod
    def build_layer(cls, cfg: QRNNConfig, index: int, n_in: int, n_out: int) -> QRNNLayer:
        return QRNNLayer(
            n_in,
            n_out,
            window=cfg.qrnn_window if index == 0 else 1,
            zoneout=cfg.zoneout,
            weight_dropout=cfg.weight_dropout,
            init_range=cfg.rnn_init_range,
        )
