"""AWD-LSTM, the weight-dropped LSTM (Merity, Keskar and Socher 2017, arXiv:1708.02182),
and the LSTMs of Zaremba et al. (2014, arXiv:1409.2329) and OpenSeq2Seq, which are the same layers
with other dropouts."""

from dataclasses import dataclass, field
from itertools import pairwise

from fairseq.models import register_model

from lm_plugins.models.recurrent_decoder import RecurrentDecoder, RecurrentDecoderConfig, layer_sizes
from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel, arch
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM


@dataclass
class AWDLSTMConfig(RecurrentDecoderConfig):
    input_weight_dropout: float = field(
        default=0.0,
        metadata={
            "help": "DropConnect probability on the input-to-hidden weights, in [0, 1) (OpenSeq2Seq: 1 - "
            "input_weight_keep_prob)"
        },
    )
    candidate_dropout: float = field(
        default=0.0,
        metadata={
            "help": "recurrent dropout probability on the LSTM's candidate, in [0, 1), with a new mask at "
            "each time step; slower, because no fused kernel supports it (OpenSeq2Seq: 1 - "
            "recurrent_keep_prob)"
        },
    )
    forget_bias: float = field(
        default=0.0, metadata={"help": "value added to the initial bias of the forget gate (OpenSeq2Seq: 1)"}
    )


@register_model("awd_lstm", dataclass=AWDLSTMConfig)
class AWDLSTM(RecurrentLanguageModel):
    """Embedding, weight-dropped LSTM layers, output layer; see :class:`RecurrentDecoder`."""

    config = AWDLSTMConfig

    @classmethod
    def build_model(cls, cfg, task):
        layers = [
            WeightDropLSTM(
                n_in,
                n_out,
                weight_dropout=cfg.weight_dropout,
                input_weight_dropout=cfg.input_weight_dropout,
                candidate_dropout=cfg.candidate_dropout,
                forget_bias=cfg.forget_bias,
                init_range=cfg.rnn_init_range,
            )
            for n_in, n_out in pairwise(layer_sizes(cfg))
        ]
        return cls(RecurrentDecoder(cfg, task.source_dictionary, layers))


# Merity et al. 2017 and 2018; where paper and code (awd-lstm-lm) differ, the code's README.
TIED = {"share_decoder_input_output_embed": True}
arch(AWDLSTM, "awd_lstm_ptb", **TIED, hidden_dropout=0.25, input_dropout=0.4)
arch(AWDLSTM, "awd_lstm_wt2", **TIED, hidden_dropout=0.2)
arch(
    AWDLSTM,
    "awd_lstm_enwik8",
    **TIED,
    decoder_hidden_size=1840,
    hidden_dropout=0.1,
    input_dropout=0.1,
    embedding_dropout=0.0,
    weight_dropout=0.2,
)
arch(
    AWDLSTM,
    "awd_lstm_ptb_char",
    **TIED,
    decoder_embed_dim=200,
    decoder_hidden_size=1000,
    dropout=0.1,
    hidden_dropout=0.25,
    input_dropout=0.1,
    embedding_dropout=0.0,
)

# Ours: the counterpart of qrnn_small, for a text of your own.
arch(
    AWDLSTM,
    "awd_lstm_small",
    **TIED,
    decoder_embed_dim=200,
    decoder_hidden_size=400,
    decoder_layers=2,
    input_dropout=0.4,
    weight_dropout=0.1,
)

# Yang et al. 2018 (arXiv:1711.03953); its code's README.
MOS = {"output_layer": "mos", "n_experts": 15, "latent_dropout": 0.29}
arch(
    AWDLSTM,
    "awd_lstm_mos_ptb",
    **TIED,
    **MOS,
    decoder_embed_dim=280,
    decoder_hidden_size=960,
    decoder_last_size=620,
    hidden_dropout=0.225,
    input_dropout=0.4,
)
arch(
    AWDLSTM,
    "awd_lstm_mos_wt2",
    **TIED,
    **MOS,
    decoder_embed_dim=300,
    decoder_hidden_size=1150,
    decoder_last_size=650,
    hidden_dropout=0.2,
    input_dropout=0.55,
)


def zaremba(name, size, dropout, init_range, layers=2, **changes):
    """Dropout on the non-recurrent connections alone, a new mask at each step."""
    sizes = {
        "decoder_layers": layers,
        "decoder_embed_dim": size,
        "decoder_hidden_size": size,
        "dropout_mask": "step",
        "dropout": dropout,
        "hidden_dropout": dropout,
        "input_dropout": dropout,
        "embedding_dropout": 0.0,
        "weight_dropout": 0.0,
        "init_range": init_range,
        "rnn_init_range": init_range,
    }
    arch(AWDLSTM, name, **{**sizes, **changes})


zaremba("lstm_small", 200, dropout=0.0, init_range=0.1)
zaremba("lstm_medium", 650, dropout=0.5, init_range=0.05)
zaremba("lstm_large", 1500, dropout=0.65, init_range=0.04)

# Zhang 2018: the best mixture of a random search with 5 experts, and the same trained faster.
BEST_MIXTURE = {"dropout": 1 - 0.4411, "init_range": 0.02, "layers": 3, "output_layer": "mos", "n_experts": 5}
zaremba("lstm_mos_bm", 900, **BEST_MIXTURE)
zaremba("lstm_mos_bmlg", 900, **BEST_MIXTURE)

# Torch's models of the Google Billion Words (Leonard 2016): dropout behind each layer, not before the first.
BILLION_WORDS = {"init_range": 0.1, "input_dropout": 0.0, "sample_break_mode": "eos"}
zaremba("lstm_gbw_2x250", 250, dropout=0.0, layers=2, **BILLION_WORDS)
zaremba("lstm_gbw_4x2048", 2048, dropout=0.2, layers=4, **BILLION_WORDS)

# OpenSeq2Seq's lstm-wkt103-mixed with the embedding of its documentation (400; the file says 320).
# Its embedding dropout drops single entries of the table, ours whole words.
arch(
    AWDLSTM,
    "lstm_wt103",
    **TIED,
    decoder_hidden_size=1024,
    dropout_mask="step",
    dropout=0.15,
    hidden_dropout=0.15,
    input_dropout=0.0,
    embedding_dropout=0.2,
    weight_dropout=0.0,
    candidate_dropout=0.3,
    forget_bias=1.0,
    rnn_init_range=0.1,
)
