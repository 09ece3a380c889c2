"""The language model of Google's keyboard for phones (Hard et al. 2018, arXiv:1811.03604).

10,000 words with embeddings of 96, tied, and one CIFG layer of 670 units whose outputs are projected to 96.
With this dictionary it has 1,422,250 parameters: 960,000 of the embedding, 385,920 + 2,010 of the gates,
64,320 of the projection, and 10,000 biases of the output layer. The paper says 1.4 million, more than two
thirds of them in the embedding, and 1.4 MB after quantization (``python -m lm_plugins.export --int8``).

Departures:

- The paper does not say what is projected, nor whether there are biases. Without the projection the model
  would have 3.2 million parameters. As in an LSTMP, the projected output is also the recurrent input.
- The paper trains on what people type, on its servers by SGD and on phones by federated averaging. Here the
  training is that of :mod:`small <lm_plugins.architectures.small>`, for the user's own text. The dictionary
  is that of the text.
"""

from lm_plugins.architectures.architecture import Architecture, Recipe
from lm_plugins.architectures.shared import TIED
from lm_plugins.architectures.small import training
from lm_plugins.models.cifg import CIFG

Architecture(
    "cifg_small",
    CIFG,
    options={
        **TIED,
        "decoder_embed_dim": 96,
        "decoder_hidden_size": 96,
        "decoder_layers": 1,
        "memory_cells": 670,
        "input_dropout": 0.4,
        "weight_dropout": 0.1,
    },
    training=training,
    recipes=(
        Recipe("text/cifg", "the CIFG of Google's phone keyboard on your own text: give --source FILE"),
    ),
    parameters="1.4 M",
    source="Hard et al. 2018, arXiv:1811.03604",
    departures=(
        "the training is that of the small models for your own text; the paper trains on what people type",
    ),
)
