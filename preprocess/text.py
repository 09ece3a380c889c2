"""Prepare your own text, as words, characters or SentencePiece pieces.

    python -m preprocess.text DEST --source PATH [--valid PATH --test PATH] [--level word]

PATH is a text file, plain or compressed (.gz, .xz, .bz2), or a folder or archive whose *.txt files are read
in the order of their paths. Without --valid and --test, the end of the text is held out, 5 % for each.
DEST/text.json holds the numbers of characters, words and tokens. With them, fairseq-eval-lm reports bits per
character and a perplexity per word at every level, so that levels can be compared. Words are
separated by white space; the end of each line counts as a word.
"""

import argparse
import io
from pathlib import Path
from typing import Any

from preprocess.binarize import binarize, tokens_of, write_symbols
from preprocess.command_line import nonempty_path, positive_int, run
from preprocess.completion import complete, making
from preprocess.files import sha256_of
from preprocess.reading import read
from preprocess.sources import files_of
from preprocess.splits import Lines, hold_out

UNKNOWN = 3  # the id of <unk>
OPTIONS = {  # {level: {option: default}}
    "word": {"threshold": 2},  # words that occur once become <unk>, so that the model learns it
    "character": {},
    "sentencepiece": {"vocab-size": None, "model-type": "unigram"},
}


def prepare(
    dest: str,
    source: str,
    valid: str | None = None,
    test: str | None = None,
    level: str = "word",
    size: int | None = None,
    kind: str | None = None,
    threshold: int | None = None,
) -> None:
    """Make the data-bin `dest`.

    Args:
        size: number of pieces of SentencePiece; None: 8000, or as many as the text allows
        kind: "unigram" or "bpe"; None: unigram
        threshold: words of the training text that are rarer become ``<unk>``; None: 2

    Raises:
        SystemExit: a text cannot be read or split, or has special symbols of fairseq; `dest` was made from
            another text or with other options.
    """
    dest = Path(dest)
    options = options_of(level, {"threshold": threshold, "vocab-size": size, "model-type": kind})
    paths = {"source": source, "valid": valid, "test": test}
    check_paths(paths, dest)
    texts = {name: read(path) for name, path in paths.items() if path is not None}
    digests = {name: digest(texts[name]) if name in texts else None for name in paths}
    check_held_out(paths, digests)
    inputs = {"corpus": "text", "level": level, **options, **digests}
    with making(dest, inputs) as needed:
        if needed:
            if valid is None:
                splits = hold_out(texts["source"], source, inside_words=level == "character")
            else:
                splits = {"train": texts["source"], "valid": texts["valid"], "test": texts["test"]}
            make(dest, splits, level, options)
            complete(dest, inputs, {"source": str(source)})
            print(f"{dest} is complete")


def options_of(level: str, typed: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `level`, with their defaults; refuse those of other levels."""
    for name, value in typed.items():
        if value is not None and name not in OPTIONS[level]:
            other = next(level for level, options in OPTIONS.items() if name in options)
            raise SystemExit(f"error: --{name} belongs to --level {other}: leave it out with --level {level}")
    return {name: default if typed[name] is None else typed[name] for name, default in OPTIONS[level].items()}


def check_paths(paths: dict[str, str | None], dest: Path) -> None:
    """Refuse --valid without --test, an empty path, and a text inside `dest` or around it."""
    if (paths["valid"] is None) != (paths["test"] is None):
        raise SystemExit("error: --valid and --test belong together: give both or neither")
    for name, path in paths.items():
        if path is None:
            continue
        if not str(path):
            raise SystemExit(f"error: --{name} is empty: give the path of a text")
        here, there = Path(path).resolve(), dest.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            raise SystemExit(f"error: {path} and {dest} overlap: give another DEST")


def check_held_out(paths: dict[str, str | None], digests: dict[str, str | None]) -> None:
    """Refuse a validation or test text that is also trained on."""
    trained = [path.resolve() for path in files_of(Path(paths["source"]))]
    for name in ("valid", "test"):
        if paths[name] is None:
            continue
        held_out = Path(paths[name]).resolve()
        if digests[name] == digests["source"] or any(path.is_relative_to(held_out) for path in trained):
            raise SystemExit(
                f"error: --{name} {paths[name]} is in the training text, --source {paths['source']}: give "
                "texts that have nothing in common"
            )


def digest(lines: Lines) -> str:
    """Return the SHA-256 of the text of `lines`."""
    return sha256_of(io.BytesIO("\n".join(lines).encode()))


def make(dest: Path, splits: dict[str, Lines], level: str, options: dict[str, Any]) -> None:
    """Write and binarize the encoded texts, and write text.json."""
    from lm_plugins.data.text_json import write_text_json  # imports fairseq, which takes seconds
    from preprocess.encoding import codec_of, encode

    (dest / "text").mkdir(exist_ok=True)
    codec, texts, sizes = codec_of(level, splits["train"], dest, options), {}, {}
    for name, lines in splits.items():
        texts[name] = dest / "text" / f"{name}.txt"
        encoded = encode(lines, codec, name)
        texts[name].write_text("".join(line + "\n" for line in encoded), encoding="utf-8")
        # The model of words does not predict how many spaces are between two of them.
        read = [" ".join(line.split()) for line in lines] if level == "word" else lines
        sizes[name] = {
            "characters": sum(len(line) + 1 for line in read),
            "words": sum(len(line.split()) + 1 for line in lines),
        }
    if level == "word" and options["threshold"] > 1:
        print(
            f"words that occur fewer than {options['threshold']} times in training become <unk> (--threshold)"
        )
    binarize(texts, dest, dictionary_options(texts["train"], level, codec, dest, options))
    if not (dest / "dict.txt").read_text(encoding="utf-8"):
        raise SystemExit(
            "error: every word of the training text is too rare: give --threshold 1, or --level character"
        )
    for name in splits:
        tokens, _ = tokens_of(dest, name)
        sizes[name] |= {"tokens": len(tokens), "unknown": int((tokens == UNKNOWN).sum())}
        share = sizes[name]["unknown"] / sizes[name]["tokens"]
        print(
            f"{name}: "
            + ", ".join(f"{value:,} {key}" for key, value in sizes[name].items())
            + f" ({share:.2%})",
            flush=True,
        )
    warn_of_unknown(sizes, level)
    write_text_json(str(dest), level, sizes)


def dictionary_options(train: Path, level: str, codec: Any, dest: Path, options: dict[str, Any]) -> list[str]:
    """Return the options of fairseq-preprocess that make the dictionary.

    It has all pieces of SentencePiece, since one that the `train` text lacks may occur in the others.
    """
    if level == "word":
        return ["--thresholdsrc", str(options["threshold"])]
    if level == "character":
        return []
    return ["--srcdict", str(write_symbols([train], dest, codec.pieces()))]


def warn_of_unknown(sizes: dict[str, dict[str, int]], level: str) -> None:
    """Warn if only held-out text has unknown tokens, which the model then never learns."""
    unknown = sizes["valid"]["unknown"] + sizes["test"]["unknown"]
    if unknown and not sizes["train"]["unknown"]:
        cure = "give --threshold 2" if level == "word" else "give more training text, or replace them"
        print(
            f"warning: {unknown:,} tokens of the validation and test text are unknown, but no token of the "
            f"training text is, so the model never learns <unk>, which spoils the perplexity: {cure}",
            flush=True,
        )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m preprocess.text", description=__doc__.splitlines()[0])
    parser.add_argument("dest", metavar="DEST", type=nonempty_path, help="data folder to make")
    parser.add_argument(
        "--source", type=nonempty_path, help="text in UTF-8: file, folder or archive of *.txt"
    )
    parser.add_argument("--valid", type=nonempty_path, help="validation text")
    parser.add_argument("--test", type=nonempty_path, help="test text")
    parser.add_argument(
        "--level", choices=list(OPTIONS), default="word", help="what a token is (default: word)"
    )
    parser.add_argument(
        "--vocab-size", type=positive_int, help="number of pieces (default: 8000, or what the text allows)"
    )
    parser.add_argument(
        "--model-type", choices=("unigram", "bpe"), help="SentencePiece model (default: unigram)"
    )
    parser.add_argument(
        "--threshold",
        type=positive_int,
        help="words that occur fewer times in the training text become <unk> (default: 2)",
    )
    options = parser.parse_args()
    if options.source is None:  # after argparse has reported a mistyped --source
        parser.error("the following arguments are required: --source")
    run(
        lambda: prepare(
            options.dest, options.source, options.valid, options.test, options.level, options.vocab_size,
            options.model_type, options.threshold,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
