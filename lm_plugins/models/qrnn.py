"""Quasi-recurrent language models: QRNN layers (Bradbury et al. 2016, arXiv:1611.01576) with the
regularisation and sizes of Merity, Keskar and Socher (2018, arXiv:1803.08240)."""

from dataclasses import dataclass, field
from itertools import pairwise

from fairseq.models import register_model

from lm_plugins.models.recurrent_decoder import RecurrentDecoder, RecurrentDecoderConfig, layer_sizes
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel, arch
from lm_plugins.modules.qrnn import QRNNLayer


@dataclass
class QRNNConfig(RecurrentDecoderConfig):
    """The defaults are those of Penn Treebank."""

    decoder_hidden_size: int = field(
        default=1550,
        metadata={"help": "units of each layer (nhid); for the last see --decoder-last-size"},
    )
    decoder_layers: int = field(default=4, metadata={"help": "number of layers (nlayers)"})
    input_dropout: float = field(default=0.4, metadata={"help": "dropout on the embedded input (dropouti)"})
    weight_dropout: float = field(
        default=0.1, metadata={"help": "DropConnect on all weights of a layer (wdrop)"}
    )
    window: int = field(
        default=2,
        metadata={"help": "inputs that the first layer sees at a step, 1 or 2; the others see 1"},
    )
    zoneout: float = field(default=0.0, metadata={"help": "probability that a unit keeps its previous state"})


@register_model("qrnn", dataclass=QRNNConfig)
class QRNN(RecurrentLanguageModel):
    """Embedding, QRNN layers, output layer; see :class:`RecurrentDecoder`."""

    config = QRNNConfig

    @classmethod
    def build_model(cls, cfg, task):
        layers = [
            QRNNLayer(
                n_in,
                n_out,
                window=cfg.window if number == 0 else 1,
                zoneout=cfg.zoneout,
                weight_dropout=cfg.weight_dropout,
                init_range=cfg.rnn_init_range,
            )
            for number, (n_in, n_out) in enumerate(pairwise(layer_sizes(cfg)))
        ]
        return cls(RecurrentDecoder(cfg, task.source_dictionary, layers))


# Merity et al. 2018; where the paper and its code (awd-lstm-lm) differ, the code's README.
TIED = {"share_decoder_input_output_embed": True}
arch(QRNN, "qrnn_ptb", **TIED)
arch(QRNN, "qrnn_wt2", **TIED, hidden_dropout=0.2)
arch(
    QRNN,
    "qrnn_wt103",
    **TIED,
    output_layer="adaptive_softmax",
    adaptive_softmax_cutoff="2800,20000,76000",
    decoder_hidden_size=2500,
    dropout=0.1,
    hidden_dropout=0.1,
    input_dropout=0.1,
    embedding_dropout=0.0,
    weight_dropout=0.0,
)
# The paper gives six layers and 13.8 M parameters; the dropouts are those of its LSTM.
arch(
    QRNN,
    "qrnn_ptb_char",
    **TIED,
    decoder_embed_dim=200,
    decoder_hidden_size=1000,
    decoder_layers=6,
    dropout=0.1,
    hidden_dropout=0.25,
    input_dropout=0.1,
    embedding_dropout=0.0,
    weight_dropout=0.5,
)
# Ours: what trains on a text of 1 MB in minutes on one core.
arch(QRNN, "qrnn_small", **TIED, decoder_embed_dim=200, decoder_hidden_size=400, decoder_layers=2)
