"""The weights of recurrent layers, under the names of other projects and under ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from lm_plugins.errors import Refused

LAYER = re.compile(r"rnns\.(\d+)\.(.+)")
WRAPPERS = ("module.", "layers.0.")  # of WeightDrop, and of torchqrnn's and fastai's QRNN
GATES = {4: "awd_lstm", 3: "awd_gru"}  # rows of weight_ih_l0 for each unit
RAW = "_raw"  # the weight before DropConnect, which is the parameter


def recurrent_layers(weights: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the weights of each layer, with the names of torch.nn.LSTM, torch.nn.GRU or our QRNN.

    The gates of all these layers have the same order: i, f, g, o of an LSTM, r, z, n of a GRU, and z, f, o of
    a QRNN, where f admits the new value. Where DropConnect has left both `weight_raw` and a dropped
    `weight`, the former is used.
    """
    layers: dict[int, dict[str, Tensor]] = {}
    for name, weight in sorted(weights.items(), key=lambda item: item[0].endswith(RAW)):
        match = LAYER.fullmatch(name)
        if match:
            inner = match[2]
            for wrapper in WRAPPERS:
                inner = inner.replace(wrapper, "")
            layers.setdefault(int(match[1]), {})[inner.removesuffix(RAW)] = weight
    return [layers[index] for index in sorted(layers)]


def layer_options(path: str, layers: list[dict[str, Tensor]]) -> tuple[str, dict[str, int]]:
    """Return the model, and its options that follow from the shapes.

    Raises:
        Refused: none of our models has such layers, or their sizes do not fit
    """
    if not layers:
        raise Refused(f"{path} has no recurrent layers: give the file of the whole model")
    if "linear.weight" in layers[0]:
        sizes = [(layer["linear.weight"].size(1), layer["linear.weight"].size(0) // 3) for layer in layers]
        model = "qrnn"
    else:
        shapes = [(layer["weight_ih_l0"].shape, layer["weight_hh_l0"].shape) for layer in layers]
        sizes = [(of_w[1], of_u[1]) for of_w, of_u in shapes]
        model = GATES.get(shapes[0][0][0] // shapes[0][1][1])
    if model is None or any("weight_ih_l0_reverse" in layer for layer in layers):
        raise Refused(
            f"{path} has recurrent layers other than unidirectional LSTM, GRU or QRNN layers: lm_plugins has "
            "no such model"
        )
    hidden, last = sizes[0][1], sizes[-1][1]
    if any(size[1] != hidden for size in sizes[:-1]):
        raise Refused(
            f"{path} has layers of different sizes before the last one: lm_plugins has no such model"
        )
    return model, {"decoder_layers": len(layers), "decoder_hidden_size": hidden, "decoder_last_size": last}
