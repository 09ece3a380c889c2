"""The file text.json of a data folder: the level of its text, and the sizes of each split."""

import json
import os
from typing import Any, Optional

from lm_plugins.errors import Refused
from lm_plugins.files import write_json

TEXT_JSON = "text.json"  # in the data folder
LEVELS = (  # what a token is
    "word",
    "character",
    "sentencepiece",  # a piece
    "byte",  # as its decimal code
    "underscore",  # a character, where "_" stands for a space
)
SIZES = ("characters", "words", "tokens", "unknown")  # of each split


def write_text_json(folder: str | os.PathLike, level: str, splits: dict[str, dict[str, int]]) -> None:
    """Write the `level` of a text and the sizes of its `splits`, if known, into the data-bin `folder`."""
    content = {"level": level, **splits}
    check(content, folder)
    write_json(os.path.join(folder, TEXT_JSON), content)


def read_text_json(folder: str | os.PathLike) -> Optional[dict[str, Any]]:
    """Return what :func:`write_text_json` wrote into `folder`, or None.

    Raises:
        Refused: that function cannot have written the content of the file.
    """
    path = os.path.join(folder, TEXT_JSON)
    if not os.path.exists(path):
        return None
    try:
        with open(path) as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read ({error}): run preprocess again") from error
    check(content, folder)
    return content


def check(content: Any, folder: str | os.PathLike) -> None:
    """Check the `content` of text.json in `folder`.

    Raises:
        Refused: it cannot be right.
    """

    def refuse(what: str) -> None:
        raise Refused(f"{os.path.join(folder, TEXT_JSON)}: {what}: run preprocess again, or fix the file")

    if not isinstance(content, dict):
        refuse("it holds no JSON object")
    if content.get("level") not in LEVELS:
        refuse(f"the level is {content.get('level')!r}, not one of {', '.join(LEVELS)}")
    for split, sizes in content.items():
        if split == "level":
            continue
        if not isinstance(sizes, dict) or set(sizes) != set(SIZES):
            refuse(f"{split} does not have the sizes {', '.join(SIZES)}")
        for name, size in sizes.items():
            least = 0 if name == "unknown" else 1
            if type(size) is not int or size < least:
                refuse(f"{name} of {split} is {size!r}, not a whole number of at least {least}")
        if sizes["unknown"] > sizes["tokens"]:
            refuse(f"{split} has {sizes['unknown']:,} unknown tokens among {sizes['tokens']:,}")
