"""The architecture gru_ptb: sizes, and the flags that it is trained with."""

from gru_plugin.gru import GRU
from lm_plugins.architectures import Architecture

Architecture(
    "gru_ptb",
    GRU,
    options={
        "output_layer": "sigsoftmax",
        "share_decoder_input_output_embed": True,
        "decoder_embed_dim": 400,
        "decoder_hidden_size": 1150,
        "decoder_layers": 2,
        "weight_dropout": 0.2,
    },
    training={
        "--criterion": "self_normalised",
        "--optimizer": "adam",
        "--lr": "0.001",
        "--lr-scheduler": "inverse_time",
        "--clip-norm": "0.25",
        "--batch-size": "20",
        "--tokens-per-sample": "70",
        "--max-epoch": "40",
    },
    source="an example: nobody has published this model",
)
