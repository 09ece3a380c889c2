"""An LSTM with the sizes and dropouts of OpenSeq2Seq's configuration lstm-wkt103-mixed, for WikiText-103.

It is not the same model. Departures of `lstm_wt103`:

- no layer normalisation of the gates and of the cell;
- the state is carried from window to window, where OpenSeq2Seq starts each window from zeros;
- the full softmax in training, where OpenSeq2Seq samples 8,192 words;
- 224 windows an update, where OpenSeq2Seq has 8 processes with 224 each;
- embedding dropout drops words, where OpenSeq2Seq drops entries of the table;
- weight decay of all weights, where OpenSeq2Seq has an L2 loss of the tied matrix.

The embedding has the size of the documentation, 400; it is 320 in the configuration.
"""

from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.architectures.shared import ADAM, TIED, batches
from lm_plugins.models.awd_lstm import AWDLSTM

Architecture(
    "lstm_wt103",
    AWDLSTM,
    options={
        **TIED,
        "decoder_hidden_size": 1024,
        "dropout_mask": "step",
        "dropout": 0.15,
        "hidden_dropout": 0.15,
        "input_dropout": 0.0,
        "embedding_dropout": 0.2,
        "weight_dropout": 0.0,
        "candidate_dropout": 0.3,
        "forget_bias": 1.0,
        "rnn_init_range": 0.1,
    },
    training={
        **ADAM,
        **batches(224, window=96, epochs=1500),
        "--lr": "0.001",
        "--weight-decay": "2e-6",
        "--random-start": None,
    },
    recipes=(
        Recipe(
            "wt103/lstm",
            "LSTM 3 x 1024 on WikiText-103",
            published=Published(
                trained=("48.6", None),
                note="on the validation text, for a model with layer normalisation whose state starts from "
                "zeros in each window of 96 tokens",
            ),
        ),
    ),
    parameters="124 M",
    source="OpenSeq2Seq, its documentation and lstm-wkt103-mixed",
)
