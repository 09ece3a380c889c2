"""Finding a file of a corpus among those at hand: plain, .xz, .gz, or in a .zip or .tar archive."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

OPENERS = {"": open, ".xz": lzma.open, ".gz": gzip.open}
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz")


@contextmanager
def opened(source, names):
    """The first of `names` in `source`, a file, an archive or a folder of them: a binary file, or None."""
    source = Path(source)
    if not source.exists():
        raise SystemExit(f"error: {source} does not exist: give the folder or archive that holds {names[0]}")
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
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
def _member(archive, names):
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            found = [member for member in opened.namelist() if Path(member).name in names]
            if found:
                with opened.open(found[0]) as stream:
                    yield stream
            else:
                yield None
        return
    with tarfile.open(archive) as opened:
        found = next((member for member in opened if Path(member.name).name in names), None)
        yield opened.extractfile(found) if found is not None else None


def extract(source, names, path):
    """Writes the first of `names` that `source` has to `path`; whole or not at all.

    Returns:
        whether it was found
    """
    unfinished = Path(f"{path}.part")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened(source, names) as stream:
            if stream is None:
                return False
            with open(unfinished, "wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SystemExit(f"error: {source} cannot be read ({error}): get {names[0]} again") from error
    unfinished.replace(path)
    return True
