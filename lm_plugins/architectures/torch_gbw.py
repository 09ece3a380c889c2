"""Torch's LSTMs with noise-contrastive estimation on the Google Billion Words (Leonard 2016, Torch blog).

The scripts are noise-contrastive-estimate.lua and multigpu-nce-rnnlm.lua. Dropout follows each layer; there
is none on the embeddings. The models are trained on independent sentences.
"""

from lm_plugins.architectures import zaremba
from lm_plugins.architectures.architecture import Architecture, Flags, Published, Recipe
from lm_plugins.architectures.shared import batches
from lm_plugins.models.awd_lstm import AWDLSTM

SENTENCES = {"input_dropout": 0.0, "sample_break_mode": "eos"}


def training(lr: float, epochs: int) -> Flags:
    """Return the flags of SGD with NCE, whose learning rate decays linearly from `lr`, as published.

    Departures: an epoch of the scripts is 51.2 M words, and one of ours the corpus, 15.6 times that. The
    momentum of the smaller model (0.9, with a dampening of 0.9) is left out, because it would make the sparse
    gradients dense. The learning rate is 0.4 of the published one, which diverged within 20 updates on Penn
    Treebank. As for :mod:`zaremba <lm_plugins.architectures.zaremba>`, learning rates and norm are converted
    by the length of a window.
    """
    window = 50
    return {
        "--criterion": "nce",
        "--nce-k": "400",
        "--sparse-embedding-grad": None,
        "--split-vocabulary": None,
        "--optimizer": "nt_asgd",
        "--averaging": "never",
        "--lr": f"{0.4 * lr * window:g}",
        "--lr-scheduler": "linear_decay",
        "--lr-end": f"{0.001 * window:g}",
        "--saturate-epochs": "19",
        "--clip-norm": f"{10 / window:g}",
        **batches(128, window=window, epochs=epochs),
    }


Architecture(
    "lstm_gbw_2x250",
    AWDLSTM,
    options={**zaremba.options(250, dropout=0.0, init_range=0.1), **SENTENCES},
    training={**training(lr=1, epochs=20), "--nce-z": "estimated"},
    recipes=(
        Recipe(
            "gbw/lstm_2x250",
            "LSTM 2 x 250 with noise-contrastive estimation on the Google Billion Words",
            cache=False,
            published=Published(trained=(None, "65.6")),
        ),
    ),
    parameters="0.40 G",
    source="Leonard 2016, Torch blog, and the README of rnn",
)

Architecture(
    "lstm_gbw_4x2048",
    AWDLSTM,
    options={**zaremba.options(2048, layers=4, dropout=0.2, init_range=0.1), **SENTENCES},
    training=training(lr=0.7, epochs=7),
    recipes=(
        Recipe(
            "gbw/lstm_4x2048",
            "LSTM 4 x 2048 with noise-contrastive estimation on the Google Billion Words",
            cache=False,
            published=Published(trained=(None, "40.61")),
        ),
    ),
    parameters="3.39 G",
    source="Leonard 2016, Torch blog",
)
