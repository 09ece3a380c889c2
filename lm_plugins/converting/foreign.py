"""The model in a file of another project, and the recognition of that project."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor

from lm_plugins.converting.torch_file import TorchFile
from lm_plugins.converting.unpickle import PickledTensor, StandIn
from lm_plugins.errors import Refused

WRAPPERS = ("model", "state_dict", "sd", "model_state_dict")  # keys under which a state_dict is saved
KNOWN = "awd-lstm-lm, mos and fastai's AWD_LSTM can be converted"
TENSORFLOW = (".index", ".meta", ".ckpt")


class Foreign(NamedTuple):
    """Weights by their names in the state_dict, and what a pickled model says about itself."""

    path: str
    weights: dict[str, Tensor]
    attributes: dict[str, Any]  # of the model
    layers: list[dict[str, Any]]  # attributes of the recurrent layers and of the modules that they wrap
    criterion: dict[str, Any]  # attributes of awd-lstm-lm's criterion, and its tensors


def read_foreign(path: str) -> Foreign:
    """Read the model in the file `path`: a pickled module, awd-lstm-lm's list, or a state_dict.

    Raises:
        Refused: the file cannot be read safely, or holds no model
    """
    refuse_tensorflow(path)
    file = TorchFile(path)
    content = file.content
    model, *others = content if isinstance(content, list | tuple) and content else [content]
    if isinstance(model, StandIn) and "_modules" in vars(model):
        criterion = next((vars(other) for other in others if "_modules" in attributes_of(other)), {})
        tensors = {name: file.tensor(value) for name, value in tensors_of(criterion).items()}
        weights = {name: file.tensor(value) for name, value in tensors_of(vars(model)).items()}
        return Foreign(path, weights, vars(model), list(layers_of(vars(model))), {**criterion, **tensors})
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    nested = flattened(content)
    if not nested:
        raise Refused(f"{path} holds no model that can be recognised: {KNOWN}")
    return Foreign(path, {name: file.tensor(value) for name, value in nested.items()}, {}, [], {})


def attributes_of(value: Any) -> dict[str, Any]:
    """Return the attributes of a pickled object; {} of anything else."""
    return vars(value) if isinstance(value, StandIn) else {}


def tensors_of(module: dict[str, Any], prefix: str = "") -> dict[str, PickledTensor]:
    """Return the parameters of a pickled module, by their names in its state_dict."""
    tensors = {f"{prefix}{name}": value for name, value in (module.get("_parameters") or {}).items()}
    tensors = {name: value for name, value in tensors.items() if isinstance(value, PickledTensor)}
    for name, child in (module.get("_modules") or {}).items():
        tensors |= tensors_of(attributes_of(child), f"{prefix}{name}.")
    return tensors


def layers_of(model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the attributes of each recurrent layer, together with those of the modules in it."""
    rnns = attributes_of((model.get("_modules") or {}).get("rnns"))
    for layer in (rnns.get("_modules") or {}).values():
        inner = [attributes_of(child) for child in (attributes_of(layer).get("_modules") or {}).values()]
        yield {name: value for module in (*inner, attributes_of(layer)) for name, value in module.items()}


def flattened(content: Any, prefix: str = "") -> dict[str, PickledTensor]:
    """Return the tensors in nested dictionaries, by their names joined with dots."""
    if isinstance(content, PickledTensor):
        return {prefix[:-1]: content}
    tensors = {}
    for name, value in content.items() if isinstance(content, dict) else ():
        tensors |= flattened(value, f"{prefix}{name}.")
    return tensors


def refuse_tensorflow(path: str) -> None:
    """Refuse a checkpoint of TensorFlow."""
    if path.endswith(TENSORFLOW) or ".data-0000" in path or os.path.exists(f"{path}.index"):
        raise Refused(
            f"{path} is a checkpoint of TensorFlow, such as OpenSeq2Seq writes, which cannot be read: {KNOWN}"
        )


def refuse_other(foreign: Foreign) -> None:
    """Refuse a model that this package does not have, and name it if it is a known one."""
    names = " ".join(foreign.weights)
    for mark, what in (
        (
            "w_mih",
            "a multiplicative LSTM (mLSTM) of NVIDIA's sentiment-discovery, a model that lm_plugins lacks",
        ),
        ("attn", "a Transformer, which is not a recurrent language model"),
        ("attention", "a Transformer, which is not a recurrent language model"),
        ("rnn.weight_ih_l0", "a model of PyTorch's example word_language_model or of a similar program"),
        (
            "encoder_dp",
            "an encoder that fastai's save_encoder wrote without the output layer: use learn.save",
        ),
    ):
        if mark in names:
            raise Refused(f"{foreign.path} is {what}: {KNOWN}")
    raise Refused(
        f"{foreign.path} has weights of an unknown model ({', '.join([*foreign.weights][:3])}, ...): {KNOWN}"
    )
