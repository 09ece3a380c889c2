"""The LSTM of OpenSeq2Seq for WikiText-103: its configuration lstm-wkt103-mixed, and its documentation.

An update has the 1,792 windows of OpenSeq2Seq's 8 processes: 224 windows at a time, 8 times, each time with
separate 8,192 candidate words. ``--update-freq 1 --batch-size 1792`` does the same at once where memory
permits. Each window starts from a zero state, and the windows are shuffled.

The `departures` of `lstm_wt103` list the differences.
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
        "layer_norm": True,
    },
    training={
        **ADAM,
        **batches(224, window=96, epochs=1500),
        "--update-freq": "8",
        "--lr": "0.001",
        "--criterion": "nce",
        "--nce-loss": "tf_sampled_softmax",
        "--nce-k": "8192",
        "--nce-noise": "log_uniform",
        "--nce-distinct-noise": None,
        "--nce-shared-noise": None,
        "--output-l2": "2e-6",
        "--independent-windows": None,
        "--random-start": None,
        "--patience": "10",
    },
    recipes=(
        Recipe(
            "wt103/lstm",
            "LSTM 3 x 1024 on WikiText-103",
            published=Published(
                trained=("48.6", None),
                note="on the validation text in OpenSeq2Seq's tokens, with each window of 96 tokens scored "
                "from a zero state, after 72 hours on 4 GPUs (51 after 36 hours); the recipe's evaluations "
                "carry the state, and fairseq-eval-lm --independent-windows --tokens-per-sample 96 scores "
                "as published",
            ),
        ),
    ),
    parameters="124 M",
    source="OpenSeq2Seq: its documentation and its configuration lstm-wkt103-mixed",
    departures=(
        "the embedding has the 400 units of the documentation; the configuration has 320",
        "embedding dropout drops words; OpenSeq2Seq drops entries of the table",
        "the layer normalisation has an epsilon of 1e-5 (there: 1e-12), trains the forget bias, and "
        "initialises its shifts like biases (there: 0), because with shifts of 0 the first gradients of a "
        "window whose words were all dropped overflow",
        "Adam adds its epsilon after the bias correction; TensorFlow adds it before",
        "the whole epoch is shuffled, and no token is skipped; OpenSeq2Seq shuffles within a buffer of "
        "25,000 windows and skips up to 95 tokens at the start of an epoch",
        "training stops after 10 validations without an improvement; OpenSeq2Seq's training, of at most "
        "1,500 epochs, was ended by hand after 36 and 72 hours",
        "training is in float32; the configuration uses mixed precision, to which --fp16 is closest",
        "the tokens are those of the corpus; OpenSeq2Seq tokenises the raw text itself",
    ),
)
