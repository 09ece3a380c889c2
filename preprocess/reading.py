"""Read a text: UTF-8, from a file, a compressed file, or a folder or archive of *.txt."""

import codecs
from pathlib import Path

from preprocess.sources import DAMAGED, reason, texts

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(source: str | Path) -> list[str]:
    """Return the lines of the text `source`, without their line breaks.

    Raises:
        SystemExit: the source cannot be read, is not UTF-8 or holds no text.
    """
    source, lines = Path(source), []
    if not source.exists():
        raise SystemExit(f"error: {source} does not exist: give a text file, or a folder or archive of *.txt")
    if source.is_char_device() or source.is_block_device():
        raise SystemExit(f"error: {source} is a device: give a text file, or a folder or archive of *.txt")
    try:
        for path, content in texts(source):
            lines += lines_of(decode(content, path))
    except DAMAGED as error:
        raise SystemExit(f"error: {source} cannot be read ({reason(error)}): give another text") from error
    if not any(line.strip() for line in lines):
        what = "no text" if source.is_file() else "no text in files called *.txt (also .xz, .gz, .bz2)"
        raise SystemExit(f"error: {source} holds {what}: give another text")
    return lines


def decode(content: bytes, path: str) -> str:
    """Return the text of the bytes `content`, without a byte-order mark."""
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = "UTF-16" if content.startswith(UTF16) else "LATIN1"
        raise SystemExit(
            f"error: {path} is not UTF-8 text: byte {error.start:,}, in line {line:,}, is "
            f"0x{content[error.start]:02x}; convert the file, for example with iconv -f {hint} -t UTF-8"
        ) from error


def lines_of(text: str) -> list[str]:
    """Return the lines of `text`, whichever of the three line breaks it uses."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
