"""How many characters and words the tokens of a subset stand for: what makes levels comparable."""

import json
import os

from lm_plugins.data.dictionary import is_character_level

COUNTS = "text.json"  # which preprocess.text wrote beside dict.txt


def text_sizes(folder, subset, dictionary, tokens):
    """(characters, words) of a `subset` of `tokens` tokens; None for what is not known.

    A text with unknown words has no bits per character: the model does not tell which words they are.
    """
    path = os.path.join(folder, COUNTS)
    if os.path.exists(path):
        with open(path) as file:
            counts = json.load(file).get(subset)
        if counts is not None and counts["tokens"] == tokens:
            return None if counts["unknown"] else counts["characters"], counts["words"]
    return (tokens if is_character_level(dictionary) else None), None
