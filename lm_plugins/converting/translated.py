"""A model of another project in the terms of this package, with words in the other project's order."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lm_plugins.converting.foreign import Foreign
from lm_plugins.converting.layers import layer_options, recurrent_layers
from lm_plugins.errors import Refused

OPTIONS = {  # attributes of the model of awd-lstm-lm and mos -> our options
    "dropout": "dropout",
    "dropouth": "hidden_dropout",
    "dropouti": "input_dropout",
    "dropoute": "embedding_dropout",
    "dropoutl": "latent_dropout",
    "n_experts": "n_experts",
}


class Translated(NamedTuple):
    """A model of ours whose vocabulary has V words in another order."""

    model: str  # the name of one of our models
    options: dict[str, Any]  # that differ from its defaults
    layers: list[dict[str, Tensor]]
    embedding: Tensor  # [V, E]
    output: Tensor | None  # [V, C]; None: the embedding
    bias: Tensor  # [V]
    head: dict[str, Tensor]  # further weights of the output layer, by our names
    cutoffs: list[int]  # of an adaptive softmax, in the other order; else empty

    @property
    def size(self) -> int:
        """Return V."""
        return len(self.embedding)


def translate(foreign: Foreign, weights: Mapping[str, Tensor]) -> Translated:
    """Return the model with a softmax that `weights` describe.

    The names are `encoder.weight`, `rnns.N...`, `decoder.weight` and `decoder.bias`. The last two may be
    missing: the output matrix is then tied, and there is no bias.

    Raises:
        Refused: none of our models has such weights, or their shapes do not fit
    """
    layers = recurrent_layers(weights)
    model, options = layer_options(foreign.path, layers)
    embedding, output = weights["encoder.weight"], weights.get("decoder.weight")
    if output is None or (output.shape == embedding.shape and torch.equal(output, embedding)):
        output = None
    options |= {"decoder_embed_dim": embedding.size(1), "share_decoder_input_output_embed": output is None}
    options |= {
        ours: foreign.attributes[name] for name, ours in OPTIONS.items() if name in foreign.attributes
    }
    if foreign.layers and "dropout" in foreign.layers[0]:
        options["weight_dropout"] = foreign.layers[0]["dropout"]
    if model == "qrnn":
        options["qrnn_window"] = layers[0]["linear.weight"].size(1) // embedding.size(1)
        if foreign.layers:
            options["zoneout"] = foreign.layers[0].get("zoneout") or 0.0
    bias = weights.get("decoder.bias")
    bias = embedding.new_zeros(len(embedding)) if bias is None else bias
    if bias.shape != embedding.shape[:1]:
        raise Refused(
            f"{foreign.path} has {len(bias)} biases for {len(embedding)} words, so it was altered: copy the "
            "file again"
        )
    return Translated(model, options, layers, embedding, output, bias, {}, [])
