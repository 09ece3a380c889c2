"""Download a file from one of several addresses: resumable, and whole or not at all."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from preprocess.files import sha256

CHUNK = 1 << 20
TIMEOUT = 30  # seconds


def download(addresses: Sequence[str], path: Path, digest: str | None = None) -> Path:
    """Write the file at the first of `addresses` that has it to `path`, unless it is already there.

    After an interruption, the bytes read so far stay in ``<path>.part``, and the download resumes from there.

    Args:
        digest: SHA-256 of the file; None: not known

    Returns:
        `path`

    Raises:
        SystemExit: no address has the right file, or `path` is another file; the message says what to do by
            hand.
    """
    path = Path(path)
    if path.exists():
        if digest is not None and sha256(path) != digest:
            raise SystemExit(
                f"error: {path} is not the official file, because its SHA-256 differs: remove it, and run "
                "the same command again"
            )
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part, failures = Path(f"{path}.part"), []
    for address in addresses:
        try:
            _read(address, part)
        except (http.client.HTTPException, OSError, ValueError) as error:  # URLError is an OSError
            failures.append(f"{address}: {error}")
            continue
        if digest is not None and sha256(part) != digest:
            failures.append(f"{address}: SHA-256 {sha256(part)[:12]}..., expected {digest[:12]}...")
            part.unlink()
            continue
        part.replace(path)
        return path
    raise SystemExit(
        f"error: {path.name} could not be downloaded:\n  "
        + "\n  ".join(failures)
        + f"\ndownload it by hand and save it as {path}, "
        "or give the folder that holds it with --source; then run the same command again"
    )


def _read(address: str, part: Path) -> None:
    """Append the missing bytes to `part`, and show the progress."""
    size = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "lm_plugins"})
    if size:
        request.add_header("Range", f"bytes={size}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            return
        raise
    with response:
        if response.status != 206:  # the server does not resume
            size = 0
        remaining = response.headers.get("Content-Length")
        total = None if remaining is None else size + int(remaining)
        with (
            open(part, "ab" if size else "wb") as file,
            tqdm(desc=part.stem, total=total, initial=size, unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and part.stat().st_size != total:
        raise OSError(
            f"the connection ended after {part.stat().st_size:,} of {total:,} bytes: run the same command "
            "again to resume"
        )
