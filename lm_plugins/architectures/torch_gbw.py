"""Torch's LSTMs with noise-contrastive estimation on the Google Billion Words (Leonard 2016, Torch blog).

The scripts are noise-contrastive-estimate.lua and multigpu-nce-rnnlm.lua, as they were when the post was
written. The models are trained on independent sentences, with 400 noise words for each time step, which all
streams share. The output matrix starts uniformly in +- 1 / sqrt(features), and its bias at -ln V.

The larger model has a dropout of 0.2 on the embeddings and after each layer, and Z = 1. The smaller one has
no dropout. Its command line gives no Z, and the default of the script at that time was an estimate.
"""

from lm_plugins.architectures import zaremba
from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.architectures.shared import batches
from lm_plugins.flags import Flags
from lm_plugins.models.awd_lstm import AWDLSTM

EPOCHS = (
    "an epoch is one pass over the corpus; an epoch of the scripts has 51.2 M words, and 15.6 of those make "
    "one pass",
    "training stops after 3 epochs without a better validation perplexity; the scripts wait for 50 of their "
    "epochs, which are 3.2 of ours, and compare the NCE loss on 5.12 M words",
)
NOT_RUN = (
    "this size was not run here; with its learning rate and Z, a 2 x 250 LSTM trains on Penn Treebank "
    "without diverging"
)


def options(units: int, *, layers: int, dropout: float) -> dict[str, object]:
    """Return the options of an LSTM on independent sentences."""
    return {
        **zaremba.options(units, layers=layers, dropout=dropout, init_range=0.1),
        "output_init_range": round(units**-0.5, 6),  # NCEModule:reset()
        "sample_break_mode": "eos",
    }


def training(lr: float, epochs: int) -> Flags:
    """Return the flags of SGD with NCE, whose learning rate decays linearly from `lr`, as published.

    An epoch of the scripts is 128 x 400,000 = 51.2 M words, and one of ours is the corpus, 15.6 times that.
    The learning rate saturates after their 300 epochs, 19 of ours. As for
    :mod:`zaremba <lm_plugins.architectures.zaremba>`, learning rates and norm are converted by the length of
    a window.
    """
    window = 50
    return {
        "--criterion": "nce",
        "--nce-k": "400",
        "--sparse-embedding-grad": None,
        "--split-vocabulary": None,
        "--optimizer": "nt_asgd",
        "--averaging": "never",
        "--lr": f"{lr * window:g}",
        "--lr-scheduler": "linear_decay",
        "--lr-end": f"{0.001 * window:g}",
        "--saturate-epochs": "19",
        "--clip-norm": f"{10 / window:g}",
        "--patience": "3",
        **batches(128, window=window, epochs=epochs),
    }


Architecture(
    "lstm_gbw_2x250",
    AWDLSTM,
    options=options(250, layers=2, dropout=0.0),
    training={**training(lr=1, epochs=20), "--nce-z": "estimated"},
    recipes=(
        Recipe(
            "gbw/lstm_2x250",
            "LSTM 2 x 250 with noise-contrastive estimation on the Google Billion Words",
            cache=False,
            published=Published(
                trained=(None, "65.6"),
                note="after 321 epochs of the script, which are 20.6 of ours; the recipe trains for 20",
            ),
        ),
    ),
    parameters="0.40 G",
    source="Leonard 2016, Torch blog, and the README of rnn",
    departures=(
        "no momentum (published: 0.9, with a dampening of 0.9), because it would make sparse gradients "
        "dense; without it, on Penn Treebank, the loss rises in the first 10 updates and has recovered after "
        "30",
        *EPOCHS,
    ),
)

Architecture(
    "lstm_gbw_4x2048",
    AWDLSTM,
    options=options(2048, layers=4, dropout=0.2),
    training=training(lr=0.7, epochs=7),
    recipes=(
        Recipe(
            "gbw/lstm_4x2048",
            "LSTM 4 x 2048 with noise-contrastive estimation on the Google Billion Words",
            cache=False,
            published=Published(
                trained=(None, "40.61"),
                note="after 100 epochs of the script, which are 6.4 of ours and took 2 to 3 weeks on 4 GPUs "
                "with 12 GB each, at 3,800 words/s",
            ),
        ),
    ),
    parameters="3.39 G",
    source="Leonard 2016, Torch blog",
    departures=(
        "--split-vocabulary divides the rows of both tables among the processes; the script divides the "
        "columns of the embedding, and distributes embedding, layers and output over 4 GPUs",
        NOT_RUN,
        *EPOCHS,
    ),
)
