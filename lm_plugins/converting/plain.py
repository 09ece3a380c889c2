"""Plain tensors: model.safetensors, config.json and dict.txt in a folder, read without torch and fairseq.

A matrix that is tied to the embedding is stored once. config.json holds the name of the model, its options,
and the level of its text.
"""

import json
import os
from typing import Any

from lm_plugins.converting.own import EMBEDDING, TIED, Own, is_tied, model_class, own_options
from lm_plugins.data.dictionary_file import read_dictionary
from lm_plugins.data.level import sentencepiece_model
from lm_plugins.data.text_json import LEVELS
from lm_plugins.errors import Refused
from lm_plugins.files import write_json

TENSORS, CONFIG = "model.safetensors", "config.json"
FORMAT = "lm_plugins 1"


def safetensors() -> Any:
    """Return the module of the package safetensors that handles tensors of torch.

    Raises:
        Refused: it is not installed
    """
    try:
        import safetensors.torch as module
    except ImportError as error:
        raise Refused("safetensors is not installed: run pip install '.[convert]'") from error
    return module


def write_plain(own: Own, folder: str) -> None:
    """Write the tensors and the options of `own` into `folder`.

    Raises:
        Refused: the package safetensors is not installed
    """
    left_out = TIED if is_tied(own) else ()
    tensors = {name: tensor.contiguous() for name, tensor in own.weights.items() if name not in left_out}
    safetensors().save_file(tensors, os.path.join(folder, TENSORS), metadata={"format": "pt"})
    config = {"format": FORMAT, "model": own.model, "options": own.options, "level": own.level}
    write_json(os.path.join(folder, CONFIG), config)


def read_plain(folder: str) -> Own:
    """Return the model in a folder that :func:`write_plain` and the command wrote.

    Raises:
        Refused: a file is missing or damaged, or has another format
    """
    path = os.path.join(folder, CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        tensors = safetensors().load_file(os.path.join(folder, TENSORS))
    except Refused:
        raise
    except OSError as error:
        raise Refused(f"{error.filename or folder} cannot be read ({error.strerror or error})") from error
    except Exception as error:  # safetensors has an error of its own, which derives from Exception
        raise Refused(f"{folder} holds a damaged {CONFIG} or {TENSORS} ({error})") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise Refused(f"{path} was not written by lm_plugins.convert: give a folder that it wrote")
    if not isinstance(config.get("options"), dict) or config.get("level") not in (None, *LEVELS):
        raise Refused(f"{path} has no options, or a level that does not exist: the file was altered")
    options = own_options(model_class(config.get("model")), config["options"])
    own = Own(config["model"], options, tensors, read_dictionary(os.path.join(folder, "dict.txt")))
    if is_tied(own):
        matrix = TIED[options.get("output_layer") != "adaptive_softmax"]
        tensors[matrix] = tensors.get(EMBEDDING)
        if tensors[matrix] is None:
            raise Refused(f"{folder} has no weight {EMBEDDING}: the file was altered")
    return own._replace(level=config["level"], pieces=sentencepiece_model(folder))
