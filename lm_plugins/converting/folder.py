"""Write a folder as a whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from lm_plugins.converting.own import Own
from lm_plugins.data.level import SENTENCEPIECE
from lm_plugins.data.text_json import write_text_json
from lm_plugins.errors import Refused
from lm_plugins.files import unfinished_path


@contextmanager
def whole_folder(path: str) -> Iterator[str]:
    """Yield the folder to write to, which becomes `path` if the block raises no error.

    Raises:
        Refused: `path` already holds files, or cannot be written
    """
    path = os.path.abspath(path)
    unfinished = unfinished_path(path)
    try:
        if os.path.lexists(path) and (not os.path.isdir(path) or os.listdir(path)):
            raise Refused(f"{path} already exists: give a folder that does not exist, or an empty one")
        shutil.rmtree(unfinished, ignore_errors=True)
        os.makedirs(unfinished)
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror}): give another folder") from error
    try:
        yield unfinished
        os.rename(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_dictionary(own: Own, folder: str) -> None:
    """Write dict.txt, the level of the text if it is known, and the SentencePiece model."""
    own.dictionary.save(os.path.join(folder, "dict.txt"))
    if own.level:
        write_text_json(folder, own.level, {})
    if own.pieces:
        shutil.copyfile(own.pieces, os.path.join(folder, SENTENCEPIECE))
