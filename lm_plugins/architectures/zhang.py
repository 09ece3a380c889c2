"""Mixtures of softmaxes of Zhang (2018, MSc thesis, Edinburgh), on the LSTM of Zaremba et al.

BM is the best mixture of a random search, with 5 softmaxes. BMLG is the same model trained faster, with a
larger gradient.
"""

from lm_plugins.architectures import zaremba
from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.models.awd_lstm import AWDLSTM

SOURCE = "Zhang 2018, MSc thesis, Edinburgh"
OPTIONS = {
    **zaremba.options(900, layers=3, dropout=1 - 0.4411, init_range=0.02),
    "output_layer": "mos",
    "n_experts": 5,
}

Architecture(
    "lstm_mos_bm",
    AWDLSTM,
    options=OPTIONS,
    training={
        "--criterion": "mos",
        **zaremba.training(40, norm=7.2919, constant=51, epochs=100, decay=0.8, streams=28),
    },
    recipes=(
        Recipe(
            "ptb/lstm_mos_bm",
            "3 x 900 LSTM with a mixture of 5 softmaxes on Penn Treebank",
            published=Published(trained=("77.98", "73.90")),
        ),
    ),
    parameters="41.5 M",
    source=SOURCE,
)

Architecture(
    "lstm_mos_bmlg",
    AWDLSTM,
    options=OPTIONS,
    training={
        "--criterion": "mos",
        **zaremba.training(40, norm=0.3, constant=34, epochs=60, decay=0.8, lr=20, streams=28),
    },
    recipes=(
        Recipe(
            "ptb/lstm_mos_bmlg",
            "the model of lstm_mos_bm, trained with a larger gradient",
            published=Published(
                trained=("78.94", None),
                note="the thesis's PyTorch code; its TensorFlow code, whose flags these are, reached 79.44",
            ),
        ),
    ),
    parameters="41.5 M",
    source=SOURCE,
)
