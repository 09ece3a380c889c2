"""Google Billion Words (Chelba et al. 2013, arXiv:1312.3005): 99 training shards, a data-bin for each.

    python -m preprocess.gbw DEST [--source PATH] [--workers N]

DEST/01 .. DEST/99 are the folders to give to fairseq-train, separated by colons; the first one also has the
validation set (heldout-00001) and the test set that results are reported on (heldout-00000). The dictionary
is that of the benchmark: words that occur at least three times in the training text, 793,471 with the
three marks <S>, </S> and <UNK>.
"""

import argparse
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from preprocess.binarize import binarize, complete, is_complete
from preprocess.counts import Counts, as_dict, check
from preprocess.download import download

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


def texts(dest, source, shards=SHARDS):
    """([training shards], {split: held-out file}), extracted into `dest`/text if need be."""
    folder = Path(source) if source else dest / "text"
    if source and not folder.exists():
        raise SystemExit(
            f"error: {folder} does not exist: give the archive, or the folder it was extracted to"
        )
    if folder.is_file() or not source:
        archive = (
            folder
            if source
            else download(ARCHIVES, dest / "download" / Path(ARCHIVES[0]).name, ARCHIVE_SHA256)
        )
        folder = dest / "text"
        if not (folder / ".extracted").exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive) as opened:
                for member in tqdm(opened, desc=archive.name, unit=" files"):
                    if member.isfile() and (
                        TRAIN.search(member.name) or member.name.endswith(tuple(HELD_OUT.values()))
                    ):
                        member.name = Path(member.name).name
                        opened.extract(member, folder, filter="data")
            (folder / ".extracted").touch()
    files = {path.name: path for path in folder.rglob("news.en*") if path.is_file()}
    train = [files[name] for name in sorted(files) if TRAIN.search(name) and "00000-of" not in name]
    missing = [name for name in HELD_OUT.values() if name not in files]
    if len(train) != shards or missing:
        raise SystemExit(
            f"error: {folder} has {len(train)} of {shards} training shards"
            + (f" and lacks {', '.join(missing)}" if missing else "")
            + ": get the archive again"
        )
    return train, {split: files[name] for split, name in HELD_OUT.items()}


def build_dictionary(shards, path, workers, words=WORDS, tokens=TOKENS):
    """Writes the dict.txt of the words that occur at least THRESHOLD times in `shards`; atomically."""
    from fairseq.data import Dictionary
    from fairseq.tokenizer import tokenize_line

    dictionary = Dictionary()
    for shard in tqdm(shards, desc="dictionary", unit=" shards"):
        Dictionary.add_file_to_dictionary(str(shard), dictionary, tokenize_line, workers)
    found = sum(dictionary.count[dictionary.nspecial :]) + dictionary.count[dictionary.eos()] - 1
    if tokens not in (None, found):
        raise SystemExit(f"error: the training shards have {found:,} tokens, the official ones {tokens:,}")
    dictionary.finalize(threshold=THRESHOLD, padding_factor=1)
    kept = len(dictionary) - dictionary.nspecial
    if words not in (None, kept):
        raise SystemExit(f"error: the dictionary has {kept:,} words, the official one {words:,}")
    unfinished = Path(f"{path}.part")
    dictionary.save(str(unfinished))
    unfinished.replace(path)


def prepare(dest, source=None, workers=1, shards=SHARDS, words=WORDS, tokens=TOKENS, test=TEST):
    """Makes the data-bins; `shards`, `words`, `tokens` and `test` are for tests.

    Raises:
        SystemExit: something cannot be had, or is not the official one.
    """
    dest = Path(dest)
    if is_complete(dest):
        print(f"{dest} is complete: nothing to do")
        return
    train, held_out = texts(dest, source, shards)
    counts = check(held_out["test"], test)
    dictionary = dest / "dict.txt"
    if not dictionary.exists():
        dest.mkdir(parents=True, exist_ok=True)
        build_dictionary(train, dictionary, workers, words, tokens)

    def shard(number):
        folder = dest / f"{number:02d}"
        if not is_complete(folder):
            parts = {"train": train[number - 1], **(held_out if number == 1 else {})}
            binarize(parts, folder, ["--srcdict", str(dictionary)])
            complete(folder, {"shard": train[number - 1].name})

    numbers = range(1, len(train) + 1)
    with ThreadPoolExecutor(workers) as pool:  # the work is done by processes of fairseq
        list(tqdm(pool.map(shard, numbers), desc="binarize", total=len(train), unit=" shards"))
    complete(dest, {"corpus": "gbw", "shards": len(train), "test": as_dict(counts)})
    print(f"{dest} is complete: {len(train)} shards")


def main():
    parser = argparse.ArgumentParser(prog="python -m preprocess.gbw")
    parser.add_argument("dest", metavar="DEST", help="folder that gets a data-bin for each shard")
    parser.add_argument(
        "--source", help="the archive, or the folder it was extracted to: nothing is downloaded"
    )
    parser.add_argument("--workers", type=int, default=2, help="shards at a time")
    options = parser.parse_args()
    prepare(options.dest, options.source, options.workers)


if __name__ == "__main__":
    main()
