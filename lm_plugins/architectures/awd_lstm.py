"""AWD-LSTM of Merity, Keskar and Socher (2017, arXiv:1708.02182; 2018, arXiv:1803.08240).

Where a paper and its code (salesforce/awd-lstm-lm) differ, these are the values of the code's README. The
results with a cache are those of its pointer.py. Dynamic evaluation is that of Krause et al. (2018,
arXiv:1709.07432).
"""

from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.architectures.shared import (
    ADAM,
    AWD,
    ENWIK8,
    FINETUNED,
    LIMITED,
    TIED,
    VALIDATED,
    VARIED,
    WEIGHT_DECAY,
    batches,
    divided_after,
    dynamic,
)
from lm_plugins.models.awd_lstm import AWDLSTM

WORDS = (
    "Merity, Keskar and Socher 2017, arXiv:1708.02182; the README of awd-lstm-lm; "
    "dynamic evaluation: Krause et al. 2018, arXiv:1709.07432"
)
CHARACTERS = "Merity, Keskar and Socher 2018, arXiv:1803.08240; the README of awd-lstm-lm"

Architecture(
    "awd_lstm_ptb",
    AWDLSTM,
    options={**TIED, "hidden_dropout": 0.25, "input_dropout": 0.4},
    training={
        **AWD,
        **batches(20, window=70, epochs=500),
        "--lr": "30",
        "--clip-norm": "0.25",
        "--seed": "141",
    },
    finetuning=FINETUNED,
    dynamic=dynamic(lr="4.64e-5", decay="1.43e-3", epsilon="2.3e-5"),  # --oldhyper, .002 .02 .001
    recipes=(
        Recipe(
            "ptb/awd_lstm",
            "AWD-LSTM on Penn Treebank",
            published=Published(
                trained=("61.2", "58.8"),
                finetuned=("58.8", "56.5"),
                cache=("53.2", "52.5"),
                dynamic=("51.6", "51.1"),
            ),
        ),
    ),
    parameters="24.2 M",
    source=WORDS,
    departures=(LIMITED, VALIDATED),
)

Architecture(
    "awd_lstm_wt2",
    AWDLSTM,
    options={**TIED, "hidden_dropout": 0.2},
    training={
        **AWD,
        **batches(80, window=70, epochs=750),
        "--lr": "30",
        "--clip-norm": "0.25",
        "--seed": "1882",
    },
    finetuning=FINETUNED,
    dynamic=dynamic(lr="3.09e-5", decay="1.43e-3", epsilon="1.55e-5"),  # --oldhyper, .002 .02 .001
    recipes=(
        Recipe(
            "wt2/awd_lstm",
            "AWD-LSTM on WikiText-2",
            published=Published(
                trained=("68.7", "65.6"),
                finetuned=("67.4", "64.7"),
                cache=("52.2", "50.6"),
                dynamic=("46.4", "44.3"),
            ),
        ),
    ),
    parameters="33.6 M",
    source=WORDS,
    departures=(LIMITED, VALIDATED),
)

Architecture(
    "awd_lstm_enwik8",
    AWDLSTM,
    options={
        **TIED,
        "decoder_hidden_size": 1840,
        "hidden_dropout": 0.1,
        "input_dropout": 0.1,
        "embedding_dropout": 0.0,
        "weight_dropout": 0.2,
    },
    training=ENWIK8,
    recipes=(
        Recipe(
            "enwik8/awd_lstm",
            "AWD-LSTM on the bytes of enwik8, the first 100 MB of Wikipedia",
            cache=False,
            unit="bpc",
            published=Published(trained=(None, "1.232")),
        ),
        Recipe(
            "text8/awd_lstm",
            "AWD-LSTM on text8, with the sizes for enwik8; no result was published",
            cache=False,
            unit="bpc",
        ),
    ),
    parameters="47 M",
    source=CHARACTERS,
    departures=(LIMITED, VALIDATED),
)

Architecture(
    "awd_lstm_ptb_char",
    AWDLSTM,
    options={
        **TIED,
        "decoder_embed_dim": 200,
        "decoder_hidden_size": 1000,
        "dropout": 0.1,
        "hidden_dropout": 0.25,
        "input_dropout": 0.1,
        "embedding_dropout": 0.0,
    },
    training={
        **ADAM,
        **VARIED,
        **WEIGHT_DECAY,
        **batches(128, window=150, epochs=500),
        **divided_after(2e-3, 300, 400),
        "--clip-norm": "0.25",
        "--seed": "1111",
    },
    recipes=(
        Recipe(
            "ptb_char/awd_lstm",
            "AWD-LSTM on character-level Penn Treebank",
            cache=False,
            unit="bpc",
            published=Published(trained=(None, "1.175")),
        ),
    ),
    parameters="13.8 M",
    source=CHARACTERS,
    departures=(LIMITED, VALIDATED),
)
