"""The text on which an int8 model is compared with the one in float32."""

import os
from collections.abc import Callable

import numpy as np
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.data.token_stream import load_token_stream
from lm_plugins.errors import Refused


def text_of_file(path: str | os.PathLike, encode: Callable[[str], Tensor]) -> np.ndarray:
    """Return the ids of the text in a file, [N].

    Args:
        encode: returns the ids of a text

    Raises:
        Refused: the file cannot be read, is not UTF-8, or is empty.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise Refused(f"--valid {path} cannot be read ({error.strerror}): give a text file") from error
    except UnicodeDecodeError as error:
        raise Refused(f"--valid {path} is not UTF-8 (byte {error.start:,}): convert it to UTF-8") from error
    if not text.strip():
        raise Refused(f"--valid {path} is empty: give a file with some text")
    return encode(text).numpy()


def text_of_folder(folder: str, dictionary: Dictionary) -> np.ndarray:
    """Return the ids of the subset valid of a data folder, [N].

    Raises:
        Refused: there is none, or it is damaged.
    """
    try:
        return load_token_stream(folder, "valid", dictionary).tokens[:].astype(np.int64)
    except Refused as error:
        raise Refused(f"--int8 is measured on a text: give one with --valid FILE ({error})") from error
