"""Tell a whole file of torch.save from one that is cut short or damaged.

torch.load does not verify the CRC-32 of the entries of its zip archive, so a flipped bit is loaded as another
weight.
"""

import os
import stat
import zipfile
import zlib

ARCHIVE = b"PK\3\4"  # the first bytes of torch's zip archives
END_OF_ARCHIVE = b"PK\5\6"  # the record that closes one
LONGEST_END = 1 << 16  # bytes in which that record is searched for

EMPTY, CUT_SHORT = "is empty", "is cut short"
INCOMPLETE = (EMPTY, CUT_SHORT)  # the damage that an interrupted copy leaves


def damage(path: str | os.PathLike) -> str | None:
    """Return what is wrong with the file `path` as a whole, such as "is cut short"; None if nothing is.

    Files that are not zip archives have no checksum. Of these, only an empty file is recognised as damaged.

    Raises:
        OSError: the file cannot be read
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        return "is not a regular file"
    with open(path, "rb") as file:
        start, size = file.read(len(ARCHIVE)), file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_END))
        ends = END_OF_ARCHIVE in file.read()
    if size == 0:
        return EMPTY
    if start != ARCHIVE:
        return None
    if not ends:
        return CUT_SHORT
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.testzip()
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        LookupError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ):
        return "is damaged: its archive is inconsistent"
    return None if entry is None else f"is damaged: the checksum of its entry {entry} does not match"
