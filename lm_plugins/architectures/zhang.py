"""The best mixtures of softmaxes of Zhang (2018, MSc thesis, Edinburgh), on the LSTM of Zaremba et al.

A random search gave a mixture of 14 softmaxes (table 6.2). BM is the same model with 5, which was better
(section 6.3.2). BMLG is BM trained faster, with a larger learning rate and strict clipping.

The thesis trained BMLG in two frameworks with the same numbers (table 8.1). Its TensorFlow code sums the loss
over the steps of a window, so learning rate and norm are converted as in
:mod:`zaremba <lm_plugins.architectures.zaremba>`. Its PyTorch code averages the loss over all tokens, as
fairseq does, so they are not converted. The thesis says that the threshold of the tuned PyTorch model
"decreases to 2.5", from 0.3. This is read as 0.25: a threshold of 2.5 would be higher.
"""

from lm_plugins.architectures import zaremba
from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.flags import Flags
from lm_plugins.models.awd_lstm import AWDLSTM

SOURCE = "Zhang 2018, MSc thesis, Edinburgh"
OPTIONS = {
    **zaremba.options(900, layers=3, dropout=1 - 0.4411, init_range=0.02),
    "output_layer": "mos",
}
SLOW: Flags = {
    "--criterion": "mos",
    **zaremba.training(40, norm=7.2919, constant=51, epochs=100, decay=0.8, streams=28),
}
FAST: Flags = {
    "--criterion": "mos",
    **zaremba.training(40, norm=0.3, constant=34, epochs=60, decay=0.8, lr=20, streams=28),
}

Architecture(
    "lstm_mos_search",
    AWDLSTM,
    options={**OPTIONS, "n_experts": 14},
    training=SLOW,
    recipes=(
        Recipe(
            "ptb/lstm_mos_search",
            "3 x 900 LSTM with a mixture of 14 softmaxes on Penn Treebank, found by random search",
            published=Published(trained=("78.618", "73.565")),
        ),
    ),
    parameters="48.8 M",
    source=SOURCE,
    departures=(zaremba.REMAINDER,),
)

Architecture(
    "lstm_mos_bm",
    AWDLSTM,
    options={**OPTIONS, "n_experts": 5},
    training=SLOW,
    recipes=(
        Recipe(
            "ptb/lstm_mos_bm",
            "3 x 900 LSTM with a mixture of 5 softmaxes on Penn Treebank",
            published=Published(trained=("77.98", "73.90")),
        ),
    ),
    parameters="41.5 M",
    source=SOURCE,
    departures=(zaremba.REMAINDER,),
)

Architecture(
    "lstm_mos_bmlg",
    AWDLSTM,
    options={**OPTIONS, "n_experts": 5},
    training=FAST,
    recipes=(
        Recipe(
            "ptb/lstm_mos_bmlg",
            "the model of lstm_mos_bm, trained with a larger learning rate and strict clipping",
            published=Published(trained=("79.440", None), note="the thesis's TensorFlow code"),
        ),
    ),
    parameters="41.5 M",
    source=SOURCE,
    departures=(zaremba.REMAINDER,),
)

Architecture(
    "lstm_mos_bmlg_pytorch",
    AWDLSTM,
    options={**OPTIONS, "n_experts": 5},
    training={**FAST, "--lr": "20", "--clip-norm": "0.3"},
    recipes=(
        Recipe(
            "ptb/lstm_mos_bmlg_pytorch",
            "lstm_mos_bmlg as trained in PyTorch, where the loss is averaged over all tokens",
            published=Published(trained=("78.943", None), note="the thesis's PyTorch code"),
        ),
    ),
    parameters="41.5 M",
    source=SOURCE,
    departures=(zaremba.REMAINDER,),
)

Architecture(
    "lstm_mos_bmlg_tuned",
    AWDLSTM,
    options={**OPTIONS, "n_experts": 5},
    training={**FAST, "--lr": "20", "--clip-norm": "0.25", "--max-epoch": "45"},
    recipes=(
        Recipe(
            "ptb/lstm_mos_bmlg_tuned",
            "lstm_mos_bmlg_pytorch with a tuned clipping norm, in 45 epochs",
            published=Published(
                trained=("78.535", None),
                note="the thesis's PyTorch code; the thesis prints the norm as 2.5, read here as 0.25",
            ),
        ),
    ),
    parameters="41.5 M",
    source=SOURCE,
    departures=(zaremba.REMAINDER,),
)
