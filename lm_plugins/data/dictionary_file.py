"""Read dict.txt, the symbols of a data-bin and their counts in the training text."""

import os
import stat

from fairseq.data import Dictionary

from lm_plugins.data.preprocess_mark import is_unfinished, read_mark
from lm_plugins.errors import Refused
from lm_plugins.files import sha256

OVERWRITE = " #fairseq:overwrite"  # fairseq's mark of a line that may repeat a symbol
ORIGINAL = "give the file that fairseq-preprocess wrote, or run it again"


def read_dictionary(path: str) -> Dictionary:
    """Read the dict.txt at `path`.

    Raises:
        Refused: it cannot be read or is empty, a line is not a symbol and its count, it is not the file
            that preprocess recorded, or preprocess has not finished its folder.
    """
    folder = os.path.dirname(path)
    if is_unfinished(folder):
        raise Refused(f"{folder} is incomplete, because preprocess was interrupted: run its command again")
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise Refused(f"{path} is not a regular file: {ORIGINAL}")
    try:
        dictionary = Dictionary.load(path)
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror or error})") from error
    except Exception as error:  # fairseq raises several kinds of errors, without the line number
        raise Refused(f"{path} is damaged{_fault(path)}: {ORIGINAL}") from error
    symbols, counts = dictionary.symbols[dictionary.nspecial :], dictionary.count[dictionary.nspecial :]
    if not symbols:
        raise Refused(f"{path} is empty: run fairseq-preprocess again on a text that is not empty")
    if min(counts) < 0 or symbols[0].startswith("\ufeff") or any(not s or " " in s for s in symbols):
        raise Refused(f"{path} is damaged{_fault(path)}: {ORIGINAL}")
    recorded = _recorded_digest(folder)
    if recorded not in (None, sha256(path)):
        raise Refused(
            f"{path} is not the file that its folder was made with (.complete has another SHA-256), so the "
            "tokens would stand for other words: remove the folder and run preprocess again"
        )
    return dictionary


def _recorded_digest(folder: str) -> str | None:
    """Return the SHA-256 of dict.txt that preprocess recorded in `folder`, or None if it did not."""
    files = read_mark(folder).get("files")
    return files.get("dict.txt") if isinstance(files, dict) else None


def _fault(path: str) -> str:
    """Name the first line of `path` that is not a symbol and its count; empty if there is none."""
    seen = {*Dictionary().symbols}
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode()
            except UnicodeDecodeError:
                return f", because line {number:,} is not UTF-8"
            fault = _fault_of_line(line.rstrip(), seen)
            if fault:
                return f", because line {number:,} {fault}"
    return ""


def _fault_of_line(line: str, seen: set[str]) -> str | None:
    """Say what is wrong with `line`, and add its symbol to those that were `seen`."""
    symbol, _, count = line.removesuffix(OVERWRITE).rpartition(" ")
    if not line:
        return "is empty"
    if line.startswith("\ufeff"):
        return "begins with a byte-order mark"
    if not symbol or " " in symbol or not count.isdecimal():
        return f"is not a symbol and its count, but {line[:40]!r}"
    if symbol in seen and not line.endswith(OVERWRITE):
        return f"repeats the symbol {symbol}"
    seen.add(symbol)
    return None
