"""Google Billion Words (Chelba et al. 2013, arXiv:1312.3005): 99 training shards, each a data-bin.

    python -m preprocess.gbw DEST [--source PATH] [--workers N]

DEST/01 .. DEST/99 are the folders to give to fairseq-train, separated by colons; the first one also has the
validation set (heldout-00001) and the test set on which results are reported (heldout-00000). The dictionary
is that of the benchmark: words that occur at least three times in the training text, 793,471 with the
three marks <S>, </S> and <UNK>.
"""

import argparse
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from preprocess.binarize import binarize
from preprocess.command_line import nonempty_path, positive_int, run
from preprocess.completion import complete, is_complete, making
from preprocess.counts import Counts, check
from preprocess.download import download
from preprocess.files import atomically, sha256, sha256_of
from preprocess.lock import end_with_parent
from preprocess.sources import DAMAGED, members, reason

ARCHIVES = (
    "http://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz",
    "https://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz",
)
ARCHIVE_SHA256 = "01ba60381110baf7f189dfd2b8374de371e8c9a340835793f190bdae9e90a34e"
TRAIN = re.compile(r"news\.en-(000\d\d)-of-00100$")
HELD_OUT = {"test": "news.en.heldout-00000-of-00050", "valid": "news.en.heldout-00001-of-00050"}
SHARDS, WORDS, TOKENS = 99, 793_468, 798_949_912  # words of the dictionary; tokens with line ends
TEST = Counts(6075, 159_658)
THRESHOLD = 3


def texts(dest: Path, source: Path | None, shards: int = SHARDS) -> dict[str, Path]:
    """Return {name: path} of the shards and the held-out files, extracted into `dest`/text if necessary.

    Raises:
        SystemExit: some are missing.
    """
    folder = Path(source) if source else dest / "text"
    if folder.is_file() or not source:
        archive = folder if source else dest / "download" / Path(ARCHIVES[0]).name
        folder = dest / "text"
        if not (folder / ".extracted").exists():
            if not source:
                download(ARCHIVES, archive, ARCHIVE_SHA256)
            folder.mkdir(parents=True, exist_ok=True)
            for name, stream in read_archive(archive):
                with open(folder / name, "wb") as file:
                    shutil.copyfileobj(stream, file, 1 << 20)
            check_names([path.name for path in folder.iterdir()], archive, shards)
            (folder / ".extracted").touch()
    check_names(files_in(folder), folder, shards)
    return files_in(folder)


def files_in(folder: Path) -> dict[str, Path]:
    """Return {name: path} of the files below `folder` that are needed."""
    return {path.name: path for path in sorted(folder.rglob("news.en*")) if wanted(path.name)}


def wanted(name: str) -> bool:
    """Return whether `name` is that of a held-out file, or a training shard other than the first."""
    return name in HELD_OUT.values() or (TRAIN.match(name) is not None and "00000-of" not in name)


def read_archive(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Iterate over (name, binary file) of the files in `archive` that are needed."""
    try:
        for path, stream in tqdm(members(archive), desc=archive.name, unit=" files"):
            if wanted(Path(path).name):
                yield Path(path).name, stream
    except DAMAGED as error:
        raise SystemExit(f"error: {archive} cannot be read ({reason(error)}): get it again") from error


def check_names(names: Iterable[str], source: Path, shards: int = SHARDS) -> None:
    """Refuse a `source` that lacks some of the files."""
    count = sum(1 for name in names if TRAIN.match(name) and wanted(name))
    missing = [name for name in HELD_OUT.values() if name not in names]
    if count != shards or missing:
        raise SystemExit(
            f"error: {source} has {count} of {shards} training shards"
            + (f" and lacks {', '.join(missing)}" if missing else "")
            + ": get the archive again"
        )


def digests(source: Path, shards: int = SHARDS) -> dict[str, str]:
    """Return {name: SHA-256} of the files in `source`, an archive or a folder."""
    source = Path(source)
    if not source.exists():
        raise SystemExit(
            f"error: {source} does not exist: give the archive, or the folder that it was extracted to"
        )
    if not source.is_dir() and not source.is_file():
        raise SystemExit(f"error: {source} is a device or a pipe, which cannot be read twice: give a file")
    if source.is_file():
        hashes = {name: sha256_of(stream) for name, stream in read_archive(source)}
    else:
        files = tqdm(files_in(source).items(), desc="SHA-256", unit=" files")
        hashes = {name: sha256(path) for name, path in files}
    check_names(hashes, source, shards)
    return hashes


def build_dictionary(
    shards: list[Path], path: Path, workers: int, words: int | None = WORDS, tokens: int | None = TOKENS
) -> None:
    """Write the dict.txt of the words that occur at least THRESHOLD times in `shards`."""
    from fairseq.data import Dictionary
    from fairseq.tokenizer import tokenize_line

    dictionary = Dictionary()
    for shard in tqdm(shards, desc="dictionary", unit=" shards"):
        Dictionary.add_file_to_dictionary(str(shard), dictionary, tokenize_line, workers)
    total = sum(dictionary.count[dictionary.nspecial :]) + dictionary.count[dictionary.eos()] - 1
    if tokens not in (None, total):
        raise SystemExit(
            f"error: the training shards have {total:,} tokens, but the official ones have {tokens:,}: get "
            "the archive again"
        )
    dictionary.finalize(threshold=THRESHOLD, padding_factor=1)
    size = len(dictionary) - dictionary.nspecial
    if words not in (None, size):
        raise SystemExit(
            f"error: the dictionary has {size:,} words, but the official one has {words:,}: get the archive "
            "again"
        )
    with atomically(path) as part:
        dictionary.save(str(part))


def prepare(
    dest: Path,
    source: Path | None = None,
    workers: int = 1,
    shards: int = SHARDS,
    words: int | None = WORDS,
    tokens: int | None = TOKENS,
    test: Counts = TEST,
) -> None:
    """Make the data-bins; tests give other `shards`, `words`, `tokens` and `test`.

    Raises:
        SystemExit: a file is not available, or not the official one; `dest` was made from another one.
    """
    dest = Path(dest)
    hashes = digests(source, shards) if source else {}
    with making(dest, {"corpus": "gbw", **hashes}) as needed:
        if needed:
            files = texts(dest, source, shards)
            hashes = hashes or {name: sha256(path) for name, path in files.items()}
            make(dest, files, hashes, workers, words, tokens, test)


def make(
    dest: Path,
    files: dict[str, Path],
    hashes: dict[str, str],
    workers: int,
    words: int | None,
    tokens: int | None,
    test: Counts,
) -> None:
    """Check the test set, and make the dictionary and a data-bin for each shard."""
    counts = check(files[HELD_OUT["test"]], test)
    train = [files[name] for name in sorted(files) if TRAIN.match(name)]
    held_out = {split: files[name] for split, name in HELD_OUT.items()}
    dictionary = dest / "dict.txt"
    if not dictionary.exists():
        build_dictionary(train, dictionary, workers, words, tokens)

    tasks = {}
    for number, path in enumerate(train, 1):
        splits = {"train": path, **(held_out if number == 1 else {})}
        tasks[dest / f"{number:02d}"] = splits, dictionary, {"corpus": "gbw", path.name: hashes[path.name]}
    with ProcessPoolExecutor(workers, get_context("fork"), initializer=end_with_parent) as pool:
        made = pool.map(make_shard, tasks, *zip(*tasks.values(), strict=True))
        list(tqdm(made, desc="binarize", total=len(train), unit=" shards"))
    complete(dest, {"corpus": "gbw", **hashes}, {"shards": len(train), "test": asdict(counts)})
    print(f"{dest} is complete: {len(train)} shards")


def make_shard(folder: Path, splits: dict[str, Path], dictionary: Path, inputs: dict[str, Any]) -> None:
    """Make the data-bin of one shard, unless it is complete."""
    if not is_complete(folder):
        binarize(splits, folder, ["--srcdict", str(dictionary)])
        complete(folder, inputs, {})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m preprocess.gbw")
    parser.add_argument(
        "dest", metavar="DEST", type=nonempty_path, help="folder to write, with a data-bin for each shard"
    )
    parser.add_argument(
        "--source",
        type=nonempty_path,
        help="local archive, or the folder that it was extracted to, to read instead of downloading",
    )
    parser.add_argument(
        "--workers", type=positive_int, default=2, help="number of shards to make at a time (default: 2)"
    )
    options = parser.parse_args()
    run(lambda: prepare(options.dest, options.source, options.workers))


if __name__ == "__main__":
    main()
