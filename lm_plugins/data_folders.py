"""The data folders that a command line names."""

from collections.abc import Iterable
from pathlib import Path

from fairseq.utils import split_paths


def data_folders(arguments: Iterable[str]) -> list[str]:
    """Return the data folders of the first argument that names some, or [] if none does.

    Several folders are separated by colons. A data folder has a dictionary, ``dict.txt``.
    """
    for argument in arguments:
        folders = split_paths(argument)
        if folders and all(Path(folder, "dict.txt").exists() for folder in folders):
            return folders
    return []
