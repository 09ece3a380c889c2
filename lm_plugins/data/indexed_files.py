"""The two files of a subset: the ids of its tokens in a .bin, and the sizes of its lines in an .idx.

fairseq-preprocess has written two formats, which the first bytes of the .idx distinguish:

- "mmap": the header, the size of each line (int32), and where it begins in the .bin (int64), in bytes;
- "cached", the default before fairseq 0.9: the dimensions, beginnings and sizes of arrays of any shape
  (int64), and tokens that are counted from 1, as in Lua.

Everything that one file says about the other is checked, because fairseq reads most damaged files without an
error. The check takes time in proportion to the lines, not to the tokens.
"""

import os
import stat
import struct
from typing import Optional

import numpy as np

from lm_plugins.errors import Refused

AGAIN = "run fairseq-preprocess again, or copy both files again"
MMAP, CACHED, HUFFMAN = b"MMIDIDX\0\0", b"TNTIDX\0\0", b"HUFFIDX\0\0"
IMPLS = {MMAP: ("mmap",), CACHED: ("cached", "lazy")}  # fairseq's names, of which --dataset-impl takes one
TYPES = {1: "u1", 2: "i1", 3: "i2", 4: "i4", 5: "i8", 8: "u2", 9: "u4"}  # fairseq's codes of token types


def read_subset(path: str, dataset_impl: Optional[str] = None) -> tuple[np.ndarray, np.ndarray]:
    """Read the subset in the files `path`.bin and `path`.idx.

    Args:
        dataset_impl: the format that the user expects; None: any

    Returns:
        its tokens, [N], a memory map in the "mmap" format; and the sizes of its lines

    Raises:
        Refused: a file is missing, empty, cut short or damaged, or the files do not belong together.
    """
    try:
        index, tokens = _regular(f"{path}.idx"), _regular(f"{path}.bin")
        with open(index, "rb") as file:
            start = file.read(len(MMAP))
        kind = next((kind for kind in IMPLS if start.startswith(kind)), None)
        if kind is None:
            raise Refused(f"{index} is {_foreign(index)}")
        if dataset_impl not in (None, *IMPLS[kind]):
            raise Refused(
                f"{index} is in the format {IMPLS[kind][0]}, not {dataset_impl}: leave out --dataset-impl"
            )
        dtype, sizes = (_mmap_index if kind == MMAP else _cached_index)(index)
        if len(sizes) and sizes.min() < 0:
            raise Refused(f"{index} is damaged, because a line has a negative size: {AGAIN}")
        total, needed = os.path.getsize(tokens), int(sizes.sum(dtype=np.int64)) * dtype.itemsize
        if total != needed:
            raise Refused(
                f"{tokens} has {total:,} bytes, but the {len(sizes):,} lines that {index} counts have "
                f"{needed:,}: the two files do not belong together, or one is cut short; {AGAIN}"
            )
        if total == 0:
            raise Refused(f"{path} is empty: run fairseq-preprocess again on a text that is not empty")
        if kind == MMAP:
            return np.memmap(tokens, mode="r", dtype=dtype), sizes
        return np.fromfile(tokens, dtype) - 1, sizes
    except OSError as error:
        raise Refused(f"{error.filename or path} cannot be read ({error.strerror or error})") from error


def _regular(path: str) -> str:
    """Return `path`, which must be a regular file."""
    if not os.path.exists(path):
        raise Refused(f"{path} is missing, although the other file of the subset exists: {AGAIN}")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Refused(f"{path} is not a regular file: {AGAIN}")
    return path


def _foreign(index: str) -> str:
    """Describe an .idx that begins like neither format."""
    with open(index, "rb") as file:
        start = file.read(len(HUFFMAN))
    if start == HUFFMAN:
        return "in the format huffman: give --dataset-impl huffman"
    what = "not an index of fairseq-preprocess" if len(start) == len(HUFFMAN) else "cut short"
    return f"{what if start else 'empty'}: {AGAIN}"


def _header(index: str, layout: str) -> tuple[tuple[int, ...], int]:
    """Return the numbers at the beginning of `index`, without its name, and the position after them."""
    with open(index, "rb") as file:
        start = file.read(struct.calcsize(layout))
    if len(start) < struct.calcsize(layout):
        raise Refused(f"{index} is cut short in its header: {AGAIN}")
    _, version, *numbers = struct.unpack(layout, start)
    if version != 1:
        raise Refused(f"{index} is damaged, or in a version {version} of its format: {AGAIN}")
    return tuple(numbers), len(start)


def _dtype(index: str, code: int) -> np.dtype:
    if code not in TYPES:
        raise Refused(f"{index} is damaged, because its tokens have the unknown type {code}: {AGAIN}")
    return np.dtype(TYPES[code])


def _arrays(index: str, offset: int, *arrays: tuple[str, int]) -> list[np.ndarray]:
    """Return the `arrays`, each a (type, length), that fill `index` from `offset` to its end."""
    needed = offset + sum(np.dtype(dtype).itemsize * length for dtype, length in arrays)
    if (size := os.path.getsize(index)) != needed:
        what = "is cut short" if size < needed else "is damaged"
        raise Refused(f"{index} {what}: it has {size:,} bytes, and its header announces {needed:,}; {AGAIN}")
    with open(index, "rb") as file:
        file.seek(offset)
        return [np.fromfile(file, dtype, length) for dtype, length in arrays]


def _mmap_index(index: str) -> tuple[np.dtype, np.ndarray]:
    """Return the type of the tokens and the sizes of the lines."""
    (code, lines), offset = _header(index, "<9sQBQ")
    dtype = _dtype(index, code)
    sizes, begin = _arrays(index, offset, ("<i4", lines), ("<i8", lines))
    _check_order(index, begin, sizes, dtype.itemsize)
    return dtype, sizes


def _cached_index(index: str) -> tuple[np.dtype, np.ndarray]:
    """Return the type of the tokens and the sizes of the lines."""
    (code, _, lines, numbers), offset = _header(index, "<8sQQQQQ")
    dtype = _dtype(index, code)
    dimensions, begin, sizes = _arrays(
        index, offset, ("<i8", lines + 1), ("<i8", lines + 1), ("<i8", numbers)
    )
    if numbers != lines or (dimensions != np.arange(lines + 1)).any():
        raise Refused(f"{index} is damaged, or does not hold lines of text: {AGAIN}")
    _check_order(index, begin[:-1], sizes, 1)
    return dtype, sizes


def _check_order(index: str, begin: np.ndarray, sizes: np.ndarray, unit: int) -> None:
    """Refuse lines that do not follow each other without a gap; `begin` counts in units."""
    if (begin != (np.cumsum(sizes, dtype=np.int64) - sizes) * unit).any():
        raise Refused(f"{index} is damaged, because its lines do not follow each other: {AGAIN}")
