"""The C++ sources of the compiled kernels, and their digest, which reveals a library made from others.

This file uses the standard library only: setup.py and tools/install.py run it by its path, where torch may be
missing.
"""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent


def sources(folder: Path = FOLDER) -> list[str]:
    """Return the paths of all `cpu.cpp` and `cpu.h` relative to `folder`, sorted."""
    paths = [*folder.rglob("cpu.cpp"), *folder.rglob("cpu.h")]
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def digest(folder: Path = FOLDER) -> str:
    """Return a digest of the contents of the sources, 16 hexadecimal digits."""
    return hashlib.sha256(b"".join((folder / path).read_bytes() for path in sources(folder))).hexdigest()[:16]
