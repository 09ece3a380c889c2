"""Read the vocabulary of a model of another project: its symbols in the order of their indices."""

import json
import os
from collections import Counter
from typing import Any, NamedTuple

from lm_plugins.converting.foreign import attributes_of
from lm_plugins.converting.torch_file import TorchFile
from lm_plugins.errors import Refused

SPLITS = ("train.txt", "valid.txt", "test.txt")
END = "<eos>"  # of each line, in awd-lstm-lm and mos
FORMS = (
    "a folder with train.txt, valid.txt and test.txt, awd-lstm-lm's corpus.*.data, fastai's itos.pkl, or a "
    ".json or .txt file of the symbols in order"
)


class Vocabulary(NamedTuple):
    """V symbols in order, and how often each was counted, if that is known."""

    symbols: list[str]
    counts: list[int] | None = None


def read_vocabulary(path: str | None) -> Vocabulary:
    """Read the vocabulary at `path`.

    Raises:
        Refused: no path was given, the vocabulary cannot be read, or it has none of the FORMS
    """
    if path is None:
        raise Refused(f"the file of the model has no vocabulary: give --vocabulary with {FORMS}")
    try:
        if os.path.isdir(path):
            return of_text(path)
        if path.endswith(".txt"):
            with open(path, encoding="utf-8-sig", newline="\n") as file:
                return checked(path, [line.rstrip("\r\n") for line in file])
        if path.endswith(".json"):
            with open(path, encoding="utf-8") as file:
                return of_object(path, json.load(file))
    except OSError as error:
        raise Refused(
            f"--vocabulary {error.filename or path} cannot be read ({error.strerror}): give {FORMS}"
        ) from error
    except ValueError as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"--vocabulary {path} cannot be read ({error}): give {FORMS}") from error
    return of_object(path, TorchFile(path).content)


def of_text(folder: str) -> Vocabulary:
    """Return the symbols in the order in which they first occur in the three texts, with their counts."""
    counts: Counter[str] = Counter()
    for name in SPLITS:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for line in file:
                counts.update(line.split())
                counts[END] += 1
    return Vocabulary(list(counts), list(counts.values()))


def of_object(path: str, content: Any) -> Vocabulary:
    """Return the symbols in a list, in a dictionary from symbol to index, or in an object with either."""
    counts = None
    for name in ("dictionary", "itos", "idx2word"):  # of a Corpus, of fastai's Vocab, of a Dictionary
        attributes = attributes_of(content) or (content if isinstance(content, dict) else {})
        if name in attributes:
            counter = attributes.get("counter")
            content = attributes[name]
            if isinstance(counter, dict) and isinstance(content, list):
                counts = [int(counter.get(index, 0)) for index in range(len(content))]
    if isinstance(content, dict) and sorted(content.values()) == list(range(len(content))):
        content = sorted(content, key=content.get)
    return checked(path, content, counts)


def checked(path: str, symbols: Any, counts: list[int] | None = None) -> Vocabulary:
    """Return the vocabulary of `symbols`.

    Raises:
        Refused: `symbols` is not a list of str
    """
    if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
        raise Refused(f"--vocabulary {path} holds no list of symbols: give {FORMS}")
    return Vocabulary(symbols, counts)
