"""Options of the decoder that all recurrent language models share."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum

from lm_plugins.models.head_config import HeadConfig
from lm_plugins.ranges import PROBABILITY, above, at_least


@dataclass
class RecurrentDecoderConfig(HeadConfig):
    """Sizes and dropouts; the defaults are AWD-LSTM's on Penn Treebank before tuning."""

    decoder_embed_dim: int = field(
        default=400,
        metadata={
            "range": at_least(1),
            "help": "size of the word embeddings, at least 1 (awd-lstm-lm: emsize, 400)",
        },
    )
    decoder_hidden_size: int = field(
        default=1150,
        metadata={
            "range": at_least(1),
            "help": "units per recurrent layer, at least 1; for the last layer see --decoder-last-size "
            "(awd-lstm-lm: nhid, 1150)",
        },
    )
    decoder_last_size: Optional[int] = field(
        default=None,
        metadata={
            "range": at_least(1),
            "help": "units of the last recurrent layer, at least 1; default: --decoder-embed-dim if the "
            "embeddings are tied, else --decoder-hidden-size; with tied embeddings, only a mixture of "
            "softmaxes can use another value (mos: nhidlast, 620 on PTB)",
        },
    )
    decoder_layers: int = field(
        default=3,
        metadata={
            "range": at_least(1),
            "help": "number of recurrent layers, at least 1 (awd-lstm-lm: nlayers, 3)",
        },
    )
    sample_break_mode: ChoiceEnum(["none", "eos"]) = field(
        default="none",
        metadata={
            "help": "none: train on continuous text and carry the recurrent state across sentences; eos: "
            "treat each line as an independent sentence, shuffle the training sentences in every epoch and "
            "reset the state at each </s> (Google Billion Words)"
        },
    )
    dropout: float = field(
        default=0.4,
        metadata={
            "range": PROBABILITY,
            "help": "dropout probability on the last layer's output, in [0, 1) (awd-lstm-lm: dropout, 0.4)",
        },
    )
    hidden_dropout: float = field(
        default=0.3,
        metadata={
            "range": PROBABILITY,
            "help": "dropout probability on the outputs of all other layers, in [0, 1) (awd-lstm-lm: "
            "dropouth; AWD-LSTM: 0.25 on PTB, 0.2 on WikiText-2)",
        },
    )
    input_dropout: float = field(
        default=0.65,
        metadata={
            "range": PROBABILITY,
            "help": "dropout probability on the embedded input, in [0, 1) (awd-lstm-lm: dropouti; AWD-LSTM: "
            "0.4 on PTB, 0.65 on WikiText-2)",
        },
    )
    embedding_dropout: float = field(
        default=0.1,
        metadata={
            "range": PROBABILITY,
            "help": "probability of dropping a word's entire embedding, in [0, 1) (awd-lstm-lm: dropoute, "
            "0.1)",
        },
    )
    weight_dropout: float = field(
        default=0.5,
        metadata={
            "range": PROBABILITY,
            "help": "DropConnect probability on the hidden-to-hidden weights, in [0, 1) (awd-lstm-lm: "
            "wdrop, 0.5)",
        },
    )
    dropout_mask: ChoiceEnum(["locked", "step"]) = field(
        default="locked",
        metadata={
            "help": "locked: use one dropout mask for all time steps of a window (AWD-LSTM); step: draw a "
            "new mask at each time step (Zaremba et al. 2014)"
        },
    )
    init_range: float = field(
        default=0.1,
        metadata={
            "range": above(0),
            "help": "half-width R, above 0, of the uniform distribution on [-R, R] that initialises the "
            "embeddings and the output matrix of an untied softmax or mixture of softmaxes (awd-lstm-lm: "
            "0.1)",
        },
    )
    rnn_init_range: Optional[float] = field(
        default=None,
        metadata={
            "range": above(0),
            "help": "half-width R, above 0, of the uniform distribution on [-R, R] that initialises the "
            "recurrent layers; default: PyTorch's initialisation (Zaremba et al. 2014: 0.1, 0.05 and 0.04 "
            "for the small, medium and large LSTM)",
        },
    )


def layer_sizes(cfg: RecurrentDecoderConfig) -> list[int]:
    """Return [input of layer 1, output of layer 1, ..., output of layer L]."""
    tied = cfg.share_decoder_input_output_embed
    last = cfg.decoder_last_size or (cfg.decoder_embed_dim if tied else cfg.decoder_hidden_size)
    return [cfg.decoder_embed_dim, *[cfg.decoder_hidden_size] * (cfg.decoder_layers - 1), last]
