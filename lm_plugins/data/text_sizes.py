"""Sizes of a text in characters and words, needed to compare word, piece and character models."""

import os
from typing import Optional

from lm_plugins.data.level import OF_ONE_CHARACTER
from lm_plugins.data.text_json import read_text_json


def text_sizes(
    folder: str | os.PathLike, subset: str, level: str, tokens: int
) -> tuple[Optional[int], Optional[int]]:
    """Return the number of characters and of words in a `subset` of `tokens` tokens; None if unknown."""
    content = read_text_json(folder)
    if content is not None and subset in content and content[subset]["tokens"] == tokens:
        return content[subset]["characters"], content[subset]["words"]
    return (tokens if level in OF_ONE_CHARACTER else None), None
