"""Small models for the user's own text. Nothing was published about them.

A text of 1 MB takes about five minutes on one CPU core, by characters, words or pieces.
"""

import math

from lm_plugins.architectures.architecture import Architecture, Recipe
from lm_plugins.architectures.one_cycle import one_cycle
from lm_plugins.architectures.shared import TIED
from lm_plugins.flags import Flags
from lm_plugins.models.awd_lstm import AWDLSTM
from lm_plugins.models.qrnn import QRNN

SIZES = {"decoder_embed_dim": 200, "decoder_hidden_size": 400, "decoder_layers": 2}
DROPOUTS = {  # those of the QRNN on Penn Treebank
    "--dropout": 0.4,
    "--hidden-dropout": 0.3,
    "--input-dropout": 0.4,
    "--embedding-dropout": 0.1,
    "--weight-dropout": 0.1,
}
LONGEST = 16  # epochs


def training(typed: Flags, tokens: int, world: int) -> Flags:
    """Return training flags that fit a text of `tokens` tokens.

    The text is read 4 sqrt(1e6 / tokens) times, at least twice and at most 16 times. The dropouts are
    proportional to the number of epochs, up to those of :data:`DROPOUTS` at 16 epochs. A text of 500,000
    tokens or fewer is cut into fewer streams and shorter windows, for more updates.
    """
    epochs = min(LONGEST, max(2, round(4 * math.sqrt(1e6 / tokens))))
    streams, window = (20, 70) if tokens > 500_000 else (10, 35)
    cycle = one_cycle(typed, tokens, world, epochs=epochs, peak=5e-3, streams=streams, window=window)
    scale = min(1.0, int(cycle["--max-epoch"]) / LONGEST)
    return {
        "--optimizer": "adam",
        "--adam-betas": "(0.8, 0.99)",
        **{flag: f"{scale * probability:.3g}" for flag, probability in DROPOUTS.items()},
        **cycle,
        "--tokens-per-sample": str(window),
        "--batch-size": str(streams),
        "--batch-size-valid": "8",
        "--clip-norm": "0.25",
        "--rotate-streams": None,
    }


Architecture(
    "qrnn_small",
    QRNN,
    options={**TIED, **SIZES},
    training=training,
    recipes=(Recipe("text/qrnn", "a small QRNN on your own text: give --source FILE"),),
)

Architecture(
    "awd_lstm_small",
    AWDLSTM,
    options={**TIED, **SIZES, "input_dropout": 0.4, "weight_dropout": 0.1},
    training=training,
    recipes=(Recipe("text/awd_lstm", "a small AWD-LSTM on your own text: give --source FILE"),),
)
