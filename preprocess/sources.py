"""Find local files: plain, compressed (.xz, .gz, .bz2), or in a .zip or .tar archive."""

import bz2
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, Iterator

from preprocess.files import atomically, sha256_of

OPENERS = {"": open, ".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


def reason(error: Exception) -> str:
    """Return the first line of the message of `error`; tarfile adds a line for each kind of compression."""
    return str(error).split("\n")[0].rstrip(":")


@contextmanager
def opened(source: Path, names: tuple[str, ...]) -> Iterator[BinaryIO | None]:
    """Yield the first of `names` in `source`, a file, an archive or a folder, as a binary file; or None."""
    source = Path(source)
    if not source.exists():
        raise SystemExit(f"error: {source} does not exist: give the folder or archive with {names[0]}")
    if not source.is_dir() and not source.is_file():
        raise SystemExit(f"error: {source} is a device or a pipe, which cannot be read twice: give a file")
    files = sorted(filter(Path.is_file, source.rglob("*"))) if source.is_dir() else [source]
    for name in names:
        for suffix, opener in OPENERS.items():
            for file in files:
                if file.name == name + suffix:
                    with opener(file, "rb") as stream:
                        yield stream
                    return
    for file in files:
        if file.name.endswith(ARCHIVES):
            with _member(file, names) as stream:
                if stream is not None:
                    yield stream
                    return
    yield None


@contextmanager
def _member(archive: Path, names: tuple[str, ...]) -> Iterator[BinaryIO | None]:
    """Yield the first file of `archive` that has one of the `names`; None if there is none."""
    for path, stream in members(archive):
        if Path(path).name in names:
            yield stream
            return
    yield None


def members(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Iterate over (path, binary file) of the files in a .zip or .tar archive, in its order."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    with opened.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile():
                yield member.name, opened.extractfile(member)


def texts(source: Path) -> Iterator[tuple[str, bytes]]:
    """Iterate over (path, content) of a text file, or of the .txt files in a folder or archive.

    Several texts are sorted by their paths. Files may be compressed. Hidden files, such as the copies that
    editors and macOS make, are left out.
    """
    for path in files_of(source):
        if path.name.endswith(ARCHIVES):
            yield from sorted(
                (f"{path}/{name}", stream.read())
                for name, stream in members(path)
                if name.endswith(".txt") and not is_hidden(PurePosixPath(name))
            )
        else:
            opener = OPENERS.get(path.suffix, open)
            with opener(path, "rb") as stream:
                yield str(path), stream.read()


def files_of(source: Path) -> list[Path]:
    """Return the files that hold the texts of `source`: itself, or the .txt files below a folder."""
    if not source.is_dir():
        return [source]
    ends = tuple(f".txt{suffix}" for suffix in OPENERS)
    return [
        path
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.name.endswith(ends) and not is_hidden(path.relative_to(source))
    ]


def is_hidden(path: PurePath) -> bool:
    """Return whether a file, or a folder above it, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def digest(
    source: Path, names: tuple[str, ...], of_stream: Callable[[BinaryIO], str] = sha256_of
) -> str | None:
    """Return the SHA-256 of the content of the first of `names` that `source` has; None if it has none."""
    try:
        with opened(source, names) as stream:
            return None if stream is None else of_stream(stream)
    except DAMAGED as error:
        raise SystemExit(f"error: {source} cannot be read ({reason(error)}): get {names[0]} again") from error


def extract(source: Path, names: tuple[str, ...], path: Path) -> bool:
    """Write the first of `names` that `source` has to `path`; whole or not at all.

    Returns:
        whether `source` has one of them
    """
    try:
        with opened(source, names) as stream:
            if stream is None:
                return False
            with atomically(path) as part, open(part, "wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
    except DAMAGED as error:
        raise SystemExit(f"error: {source} cannot be read ({reason(error)}): get {names[0]} again") from error
    return True


def archive_of(source: Path, names: tuple[str, ...]) -> Path | None:
    """Return the archive from which one of `names` is read; None if it is a separate file."""
    source = Path(source)
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    plain = {name + suffix for name in names for suffix in OPENERS}
    if any(file.name in plain for file in files):
        return None
    for file in files:
        if file.name.endswith(ARCHIVES) and any(Path(path).name in names for path, _ in members(file)):
            return file
    return None
