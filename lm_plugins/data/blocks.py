"""Read a large array in blocks, so that a memory map is never resident as a whole."""

import mmap
from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 20  # tokens or lines that are read at a time


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `array` in blocks, and release each one, so that the whole is never in memory."""
    for start in range(0, len(array), BLOCK):
        yield array[start : start + BLOCK]
        release(array)


def release(array: np.ndarray) -> None:
    """Release the resident pages of `array` if it is a memory map."""
    if isinstance(array.base, mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)
