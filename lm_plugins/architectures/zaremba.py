"""The small, medium and large LSTM of Zaremba, Sutskever and Vinyals (2014, arXiv:1409.2329).

Their dropout is on the non-recurrent connections only, with a new mask at each time step. The schedules are
those of the TensorFlow tutorial, whose decay of 0.8 for the medium model is 1/1.2 = 0.83 in the paper.

fairseq divides the gradient by the number of tokens of a batch, Zaremba et al. by the number of streams.
Learning rate and clipping norm are therefore converted by the length T of a window: lr x T, and norm / T.
"""

from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.architectures.shared import SGD, batches
from lm_plugins.flags import Flags
from lm_plugins.models.awd_lstm import AWDLSTM

SOURCE = "Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329; the TensorFlow tutorial on recurrent networks"
REMAINDER = (
    "every token is trained on, including those of a short last window, whose step has the full size; the "
    "published code drops what does not fill all streams and windows"
)
FIRST_DECAY = (
    "the learning rate first decays when it does in the paper and the TensorFlow tutorial; Zaremba's Lua "
    "code decays it an epoch later"
)


def options(units: int, *, dropout: float, init_range: float, layers: int = 2) -> dict[str, object]:
    """Return the options of an LSTM with dropout on its non-recurrent connections."""
    return {
        "decoder_layers": layers,
        "decoder_embed_dim": units,
        "decoder_hidden_size": units,
        "dropout_mask": "step",
        "dropout": dropout,
        "hidden_dropout": dropout,
        "input_dropout": dropout,
        "embedding_dropout": 0.0,
        "weight_dropout": 0.0,
        "init_range": init_range,
        "rnn_init_range": init_range,
    }


def training(
    window: int, *, norm: float, constant: int, epochs: int, decay: float, lr: float = 1, streams: int = 20
) -> Flags:
    """Return the flags of SGD at `lr` for `constant` epochs, and then multiplied by `decay` in each epoch.

    Args:
        window: length of a window in tokens
        norm: clipping norm, as published
        lr: learning rate, as published
    """
    return {
        **SGD,
        "--lr": f"{lr * window}",
        "--clip-norm": f"{norm / window:.6g}",
        "--force-anneal": str(constant + 1),
        "--lr-shrink": f"{decay:.6g}",
        **batches(streams, window=window, epochs=epochs),
    }


Architecture(
    "lstm_small",
    AWDLSTM,
    options=options(200, dropout=0.0, init_range=0.1),
    training=training(20, norm=5, constant=4, epochs=13, decay=0.5),
    recipes=(
        Recipe(
            "ptb/lstm_small",
            "small LSTM on Penn Treebank, 2 x 200, without dropout",
            published=Published(trained=("120.7", "114.5")),
        ),
    ),
    parameters="4.7 M",
    source=SOURCE,
    departures=(REMAINDER, FIRST_DECAY),
)

Architecture(
    "lstm_medium",
    AWDLSTM,
    options=options(650, dropout=0.5, init_range=0.05),
    training=training(35, norm=5, constant=6, epochs=39, decay=0.8),
    recipes=(
        Recipe(
            "ptb/lstm_medium",
            "medium LSTM on Penn Treebank, 2 x 650",
            published=Published(
                trained=("86.2", "82.7"),
                note="the paper divides the learning rate by 1.2; the schedule here is the tutorial's; about "
                "12 hours on a K20, according to table 5.2 of Zhang 2018",
            ),
        ),
    ),
    parameters="19.8 M",
    source=SOURCE,
    departures=(REMAINDER, FIRST_DECAY),
)

Architecture(
    "lstm_large",
    AWDLSTM,
    options=options(1500, dropout=0.65, init_range=0.04),
    training=training(35, norm=10, constant=14, epochs=55, decay=1 / 1.15),
    recipes=(
        Recipe(
            "ptb/lstm_large",
            "large LSTM on Penn Treebank, 2 x 1500",
            published=Published(
                trained=("82.2", "78.4"), note="about 24 hours on a K20, according to table 5.2 of Zhang 2018"
            ),
        ),
    ),
    parameters="66.0 M",
    source=SOURCE,
    departures=(REMAINDER, FIRST_DECAY),
)
