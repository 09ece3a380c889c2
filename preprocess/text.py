"""Any text of yours, by words, characters or SentencePiece pieces.

    python -m preprocess.text DEST --source FILE [--valid FILE --test FILE] [--level word]

Without --valid and --test the last lines of FILE are held out, 5 % each. DEST/text.json holds the numbers of
characters, words and tokens, by which fairseq-eval-lm compares levels: bits per character, and a perplexity
per word, whatever a token is. Words are those between white space, and the end of each line.
"""

import argparse
import json
import os
from pathlib import Path

from lm_plugins.data.text_codec import MODEL, SPACE, Characters, Pieces, Words
from lm_plugins.data.text_sizes import COUNTS
from preprocess.binarize import binarize, check_own, complete, is_complete, tokens_of

SPECIAL = ("<s>", "<pad>", "</s>")


def split(source, valid, test):
    """{split: list of lines, without their ends}"""
    lines = read(source)
    if valid and test:
        return {"train": lines, "valid": read(valid), "test": read(test)}
    if valid or test:
        raise SystemExit("error: --valid and --test belong together: give both, or none")
    held = max(1, len(lines) // 20)
    if len(lines) < 3:
        raise SystemExit(f"error: {source} has {len(lines)} lines: give --valid and --test, or more lines")
    return {"train": lines[: -2 * held], "valid": lines[-2 * held : -held], "test": lines[-held:]}


def read(path):
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"error: {path} cannot be read as UTF-8 text: {error}") from error
    return lines[:-1] if lines[-1] == "" else lines


def check_special(lines, path):
    for number, line in enumerate(lines, 1):
        for word in line.split():
            if word in SPECIAL:
                raise SystemExit(
                    f"error: line {number} of the {path} text has the word {word}, which fairseq takes for "
                    "its own: replace it, or take --level character or sentencepiece"
                )


def train_pieces(lines, folder, size, kind):
    """Trains DEST/sentencepiece.model on the training `lines`; text comes back exactly as it was."""
    import sentencepiece

    unfinished = folder / f"{MODEL}.part"
    with open(unfinished, "wb") as file:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=file,
                vocab_size=size,
                model_type=kind,
                character_coverage=1.0,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise SystemExit(f"error: SentencePiece cannot make {size} pieces: {error}") from error
    unfinished.replace(folder / MODEL)


def encoder(level, lines, folder, size, kind):
    """Function from a line to the symbols of its tokens, separated by spaces."""
    if level == "word":
        return Words().encode
    if level == "character":
        return Characters(SPACE).encode
    train_pieces(lines, folder, size, kind)
    return Pieces(str(folder / MODEL)).encode


def prepare(dest, source, valid=None, test=None, level="word", size=8000, kind="unigram", threshold=1):
    """Makes the data-bin `dest`.

    Raises:
        SystemExit: a text that cannot be read or split, or holds fairseq's special symbols.
    """
    dest = Path(dest)
    if is_complete(dest):
        print(f"{dest} is complete: nothing to do")
        return
    check_own(dest)
    parts, texts, counts = split(source, valid, test), {}, {}
    (dest / "text").mkdir(parents=True, exist_ok=True)
    if level == "word":
        for name, lines in parts.items():
            check_special(lines, name)
    encode = encoder(level, parts["train"], dest, size, kind)
    for name, lines in parts.items():
        texts[name] = dest / "text" / f"{name}.txt"
        texts[name].write_text("".join(encode(line) + "\n" for line in lines), encoding="utf-8")
        counts[name] = {
            "characters": sum(len(line) + 1 for line in lines),
            "words": sum(len(line.split()) + 1 for line in lines),
        }
    binarize(texts, dest, ["--thresholdsrc", str(threshold)] if level == "word" else [])
    for name in parts:
        tokens, _ = tokens_of(dest, name)
        counts[name] |= {"tokens": len(tokens), "unknown": int((tokens == 3).sum())}
        print(f"{name}: " + ", ".join(f"{value:,} {key}" for key, value in counts[name].items()), flush=True)
    unfinished = dest / f"{COUNTS}.part"
    unfinished.write_text(json.dumps({"level": level, **counts}, indent=1) + "\n")
    os.replace(unfinished, dest / COUNTS)
    complete(dest, {"corpus": "text", "source": str(source)})
    print(f"{dest} is complete")


def main():
    parser = argparse.ArgumentParser(prog="python -m preprocess.text", description=__doc__.splitlines()[0])
    parser.add_argument("dest", metavar="DEST", help="data-bin folder to make")
    parser.add_argument("--source", required=True, help="text file, UTF-8")
    parser.add_argument("--valid", help="validation text")
    parser.add_argument("--test", help="test text")
    parser.add_argument("--level", choices=("word", "character", "sentencepiece"), default="word")
    parser.add_argument("--vocab-size", type=int, default=8000, help="pieces of SentencePiece")
    parser.add_argument(
        "--model-type", choices=("unigram", "bpe"), default="unigram", help="of SentencePiece"
    )
    parser.add_argument(
        "--threshold", type=int, default=1, help="rarer words of the training text become <unk>"
    )
    o = parser.parse_args()
    prepare(o.dest, o.source, o.valid, o.test, o.level, o.vocab_size, o.model_type, o.threshold)


if __name__ == "__main__":
    main()
