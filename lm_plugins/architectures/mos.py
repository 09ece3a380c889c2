"""AWD-LSTM with a mixture of softmaxes of Yang et al. (2018, arXiv:1711.03953; zihangdai/mos)."""

from lm_plugins.architectures.architecture import Architecture, Published, Recipe
from lm_plugins.architectures.shared import AVERAGED, AWD, TIED, VALIDATED, batches, dynamic
from lm_plugins.models.awd_lstm import AWDLSTM

SOURCE = "Yang et al. 2018, arXiv:1711.03953; the README of mos"
MIXTURE = {"output_layer": "mos", "n_experts": 15, "latent_dropout": 0.29}

Architecture(
    "awd_lstm_mos_ptb",
    AWDLSTM,
    options={
        **TIED,
        **MIXTURE,
        "decoder_embed_dim": 280,
        "decoder_hidden_size": 960,
        "decoder_last_size": 620,
        "hidden_dropout": 0.225,
        "input_dropout": 0.4,
    },
    training={
        "--criterion": "mos",
        **AWD,
        **batches(12, window=70, epochs=1000),
        "--bptt-max-delta": "40",
        "--lr": "20",
        "--clip-norm": "0.25",
        "--seed": "28",
    },
    finetuning={**AVERAGED, "--lr": "25"},
    dynamic=dynamic(lr="4.64e-5", decay="4.4e-3", epsilon="2.3e-5"),  # .002, .075, .001
    recipes=(
        Recipe(
            "ptb/awd_lstm_mos",
            "AWD-LSTM with a mixture of 15 softmaxes on Penn Treebank",
            published=Published(
                trained=("58.08", "55.97"), finetuned=("56.54", "54.44"), dynamic=("48.33", "47.69")
            ),
        ),
    ),
    parameters="21.5 M",
    source=SOURCE,
    departures=(VALIDATED,),
)

Architecture(
    "awd_lstm_mos_wt2",
    AWDLSTM,
    options={
        **TIED,
        **MIXTURE,
        "decoder_embed_dim": 300,
        "decoder_hidden_size": 1150,
        "decoder_last_size": 650,
        "hidden_dropout": 0.2,
        "input_dropout": 0.55,
    },
    training={
        "--criterion": "mos",
        **AWD,
        **batches(15, window=70, epochs=1000),
        "--bptt-max-delta": "20",
        "--lr": "15",
        "--clip-norm": "0.25",
        "--seed": "1882",
    },
    finetuning={**AVERAGED, "--lr": "20"},
    dynamic=dynamic(lr="3.09e-5", decay="1.2e-3", epsilon="3.1e-5"),  # .002, .02, .002
    recipes=(
        Recipe(
            "wt2/awd_lstm_mos",
            "AWD-LSTM with a mixture of 15 softmaxes on WikiText-2",
            published=Published(
                trained=("66.01", "63.33"), finetuned=("63.88", "61.45"), dynamic=("42.41", "40.68")
            ),
        ),
    ),
    parameters="34.9 M",
    source=SOURCE,
    departures=(
        VALIDATED,
        "all 15 streams share one mask of weights and one of words; the published code draws new masks for "
        "every 5 streams (--small_batch_size 5)",
    ),
)
