"""Make a data-bin for fairseq from the addresses of a corpus or from local files, for all corpora.

    python -m preprocess.<corpus> DEST [--source PATH]

DEST becomes the folder to give to fairseq-train. The text stays in DEST/text, downloads in DEST/download.
A complete DEST is left as it is, and refused if it was made from something else. An interrupted run is
resumed.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from preprocess.binarize import binarize, drop_ends, tokens_of, write_symbols
from preprocess.blanks import padded, padded_sha256
from preprocess.command_line import nonempty_path, run
from preprocess.completion import complete, making
from preprocess.counts import Counts, check
from preprocess.download import download
from preprocess.files import atomically, sha256
from preprocess.sources import archive_of, digest, extract


@dataclass(frozen=True)
class Split:
    """One file of a corpus.

    Args:
        names: names of the file in archives and folders
        counts: counts of its text as fairseq reads it
        addresses: addresses of the file itself
        sha256: SHA-256 of the plain file; None: not known
        rewrite: function of (plain file, text file) that makes the text for fairseq; None: copy it
        targets: number of tokens that a model predicts; None: not known
    """

    names: tuple[str, ...]
    counts: Counts
    addresses: tuple[str, ...] = ()
    sha256: str | None = None
    rewrite: Callable[[Path, Path], None] | None = None
    targets: int | None = None


@dataclass(frozen=True)
class Corpus:
    """A corpus of three splits.

    Args:
        name: name of the module, of the recipes' folder and of the default data-bin
        splits: {split: Split}
        archives: addresses of an archive of all files
        archive_sha256: SHA-256 of the archive; None: not known
        dictionary: number of symbols in the dictionary, with fairseq's four special ones; None: not known
        closed: the dictionary has the symbols of all splits, so that none is unknown, as usual for characters
        surplus: which of the ``</s>`` that fairseq adds are not in the corpus: "none", "last" or "all"
        padded: the lines of the official files are padded (:mod:`preprocess.blanks`)
        level: what a token is, which text.json records; see :func:`lm_plugins.data.level.level_of`
    """

    name: str
    splits: dict[str, Split]
    archives: tuple[str, ...] = ()
    archive_sha256: str | None = None
    dictionary: int | None = None
    closed: bool = False
    surplus: str = "none"
    padded: bool = False
    level: str = "word"


def prepare(corpus: Corpus, dest: Path, source: Path | None = None) -> None:
    """Make the data-bin `dest` of `corpus`, from `source` if it is given.

    Raises:
        SystemExit: a file is not available, or not the official one; `dest` was made from another one.
    """
    dest = Path(dest)
    inputs = {"corpus": corpus.name, **(digests(corpus, source) if source is not None else {})}
    with making(dest, inputs) as needed:
        if needed:
            make(corpus, dest, source)


def digests(corpus: Corpus, source: Path) -> dict[str, str | None]:
    """Return {split: SHA-256 of its plain file} for the files in `source`.

    A file that differs from the official one only in white space around lines has its SHA-256.
    """
    known = {names: digest(source, names) for names in dict.fromkeys(s.names for s in corpus.splits.values())}
    for names, hashed in known.items():
        if hashed is None:
            raise SystemExit(
                f"error: {source} has none of {', '.join(names)} (nor as .xz, .gz, .bz2, in a .zip or .tar): "
                "give the folder that contains it"
            )
    hashes = {name: known[split.names] for name, split in corpus.splits.items()}
    for name, split in corpus.splits.items():
        if corpus.padded and hashes[name] != split.sha256:
            padded_hash = digest(source, split.names, padded_sha256)
            hashes[name] = split.sha256 if padded_hash == split.sha256 else hashes[name]
    return hashes


def make(corpus: Corpus, dest: Path, source: Path | None) -> None:
    """Write the texts of `corpus`, check their counts, binarize them, and mark `dest` as complete."""
    from lm_plugins.data.text_json import write_text_json  # imports fairseq, which takes seconds

    if source is not None:
        check_archives(corpus, source)
    texts, hashes, facts = {}, {}, {}
    for name, split in corpus.splits.items():
        texts[name], hashes[name] = write_text(corpus, name, split, dest, source)
        facts[name] = asdict(check_text(texts[name], split.counts))
        print(f"{name}: " + ", ".join(f"{value:,} {key}" for key, value in facts[name].items()), flush=True)
    binarize(texts, dest, ["--srcdict", str(write_symbols(texts.values(), dest))] if corpus.closed else [])
    for name, split in corpus.splits.items():
        if corpus.surplus == "all" or (corpus.surplus == "last" and not ends_in_line_break(texts[name])):
            drop_ends(dest, name, corpus.surplus == "all")
        facts[name]["targets"] = targets = len(tokens_of(dest, name)[0])
        if split.targets not in (None, targets):
            raise SystemExit(
                f"error: {dest / name} has {targets:,} targets, but the official text has {split.targets:,}: "
                f"remove {dest} and run the same command again"
            )
    symbols = 4 + sum(1 for _ in open(dest / "dict.txt", encoding="utf-8"))
    if corpus.dictionary not in (None, symbols):
        raise SystemExit(
            f"error: {dest / 'dict.txt'} gives {symbols:,} symbols, but that of the official text gives "
            f"{corpus.dictionary:,}: remove {dest} and run the same command again"
        )
    write_text_json(dest, corpus.level, {})
    complete(dest, {"corpus": corpus.name, **hashes}, {"symbols": symbols, **facts})
    print(f"{dest} is complete: {symbols:,} symbols")


def write_text(corpus: Corpus, name: str, split: Split, dest: Path, source: Path | None) -> tuple[Path, str]:
    """Write the file of a split that fairseq reads, `dest`/text/<split>.txt; whole or not at all.

    Returns:
        the path of the file, and the SHA-256 of the plain file that it was made from
    """
    text, hashed = dest / "text" / f"{name}.txt", dest / "text" / f"{name}.sha256"
    if not text.exists():
        plain = obtain(corpus, name, split, dest, source)
        hashed.write_text(sha256(plain))
        if split.rewrite is None:
            plain.replace(text)
        else:
            with atomically(text) as part:
                split.rewrite(plain, part)
                plain.unlink()
    return text, hashed.read_text()


def check_text(text: Path, expected: Counts) -> Counts:
    """Return the counts of `text`; remove a wrong text, so that another can take its place."""
    try:
        return check(text, expected)
    except SystemExit:
        text.unlink()
        raise


def ends_in_line_break(path: Path) -> bool:
    """Return whether the last byte of the file `path` is a line break."""
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def obtain(corpus: Corpus, name: str, split: Split, dest: Path, source: Path | None) -> Path:
    """Return the plain file of a split, in `dest`/text."""
    plain = dest / "text" / f"{name}.plain"
    if source is not None:
        extract(source, split.names, plain)
    elif plain.exists():  # saved by hand, or by a run that was interrupted
        pass
    elif split.addresses:
        download(split.addresses, plain, split.sha256)
    else:
        path = dest / "download" / Path(corpus.archives[0]).name
        archive = download(corpus.archives, path, corpus.archive_sha256)
        if not extract(archive, split.names, plain):
            raise SystemExit(
                f"error: {archive} has no {split.names[0]}: remove it and run the same command again"
            )
    if corpus.padded and sha256(plain) != split.sha256:
        pad(plain, split.sha256, f"the {name} text of {corpus.name}")
    if split.sha256 is not None and sha256(plain) != split.sha256:
        plain.unlink()
        raise SystemExit(
            f"error: the {name} text of {corpus.name} is not the official one, because its SHA-256 differs: "
            f"get {split.names[0]} again" + ("" if source else f", after removing {dest / 'download'}")
        )
    return plain


def pad(plain: Path, official: str, text: str) -> None:
    """Pad the lines of the file `plain` if its SHA-256 is then the `official` one."""
    with open(plain, "rb") as file:
        if padded_sha256(file) != official:
            return
        file.seek(0)
        with atomically(plain) as part, open(part, "wb") as target:
            target.writelines(padded(file))
    print(
        f"{text} differs from the official one only in white space at the start or end of lines, which is "
        "not part of any token",
        flush=True,
    )


def check_archives(corpus: Corpus, source: Path) -> None:
    """Compare the archives in `source` with the official one, for files whose own SHA-256 is not known.

    Raises:
        SystemExit: an archive has the name of the official one, but different content.
    """
    if corpus.archive_sha256 is None:
        return
    official = Path(corpus.archives[0]).name
    unknown = dict.fromkeys(split.names for split in corpus.splits.values() if split.sha256 is None)
    archives = {names[0]: archive_of(source, names) for names in unknown}
    hashes = {archive: sha256(archive) for archive in {*archives.values()} - {None}}
    for name, archive in archives.items():
        if hashes.get(archive) == corpus.archive_sha256:
            continue
        if archive is not None and archive.name == official:
            raise SystemExit(
                f"error: {archive} is not the official archive: its SHA-256 is {hashes[archive][:12]}..., "
                f"expected {corpus.archive_sha256[:12]}...; get it again"
            )
        print(
            f"{name} is checked by its length and counts only, because the SHA-256 is known only for "
            f"{official}: give that archive as --source for the full check",
            flush=True,
        )


def main(corpus: Corpus) -> None:
    """Run the command line of the module of `corpus`."""
    parser = argparse.ArgumentParser(prog=f"python -m preprocess.{corpus.name}")
    parser.add_argument("dest", metavar="DEST", type=nonempty_path, help="data folder to make")
    parser.add_argument(
        "--source", type=nonempty_path, help="local file, archive or folder to read instead of downloading"
    )
    options = parser.parse_args()
    run(lambda: prepare(corpus, options.dest, options.source))
