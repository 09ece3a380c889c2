"""The data folders that a command line or a checkpoint names."""

from collections.abc import Iterable
from pathlib import Path

from fairseq.utils import split_paths

from lm_plugins.errors import Refused


def data_folders(arguments: Iterable[str]) -> list[str]:
    """Return the data folders of the first argument that names some, or [] if none does.

    Several folders are separated by colons. A data folder has a dictionary, ``dict.txt``.
    """
    for argument in arguments:
        folders = split_paths(argument)
        if folders and all(Path(folder, "dict.txt").exists() for folder in folders):
            return folders
    return []


def saved_folders(data: str) -> str:
    """Return `data`, the data folders that a checkpoint names.

    Raises:
        Refused: one does not exist, such as a relative path in a program that is started elsewhere
    """
    for folder in split_paths(data):
        if not Path(folder).exists():
            raise Refused(
                f"{folder}, the data folder that the checkpoint names, does not exist here: give --data "
                "FOLDER, or data= in Python"
            )
    return data
