"""Record whether a folder is complete, and what it was made from.

The inputs of a folder are a flat dictionary: the corpus, the options that change its content, and the
SHA-256 of the content of each source text, wherever that text is stored. They are in ``.inputs`` while the
folder is being made, and in ``.complete``, the last file to be written, once it is complete. ``.complete``
also has the SHA-256 of each file that was made. lm_plugins compares that of dict.txt whenever it opens the
folder.
"""

import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from preprocess.files import atomically, sha256
from preprocess.lock import LOCK, locked

COMPLETE, INPUTS = ".complete", ".inputs"
# The earlier names of corpora, which older folders record.
RENAMED = {"penn": "ptb", "penn_char": "ptb_char", "wikitext2": "wt2", "wikitext103": "wt103"}
MADE = re.compile(  # what is removed when a folder is made again; never a download
    r"text|\.binarizing|\d\d|dict\.txt.*|preprocess\.log|(train|valid|test)\.(bin|idx|rewritten.*)|"
    r"text\.json.*|sentencepiece\.model.*"
)
DATA = re.compile(r"dict\.txt|.*\.(bin|idx)|text\.json|sentencepiece\.model")  # what models are trained on
# What may be in a folder before the first run.
BY_HAND = re.compile(rf"{re.escape(LOCK)}|\.inputs\.part|download(/.*)?|text|text/[^/]*\.plain(\.part)?")


@contextmanager
def making(dest: Path, inputs: dict[str, Any]) -> Iterator[bool]:
    """Hold the lock of `dest`, and yield whether it is still to be made from `inputs`.

    A complete folder is compared with `inputs`, and its files with their recorded SHA-256. An unfinished
    folder that was begun from other inputs is made again.

    Raises:
        SystemExit: `dest` was made from something else, has changed since, or holds other files.
    """
    if not is_complete(dest):
        check_foreign(dest, holds_lock=False)
        with locked(dest):
            if not is_complete(dest):  # the process that held the lock may have completed it
                check_foreign(dest, holds_lock=True)
                begin(dest, inputs)
                yield True
                return
    check_same(dest, inputs)
    check_unchanged(dest)
    print(f"{dest} is complete: nothing to do", flush=True)
    yield False


def is_complete(folder: Path) -> bool:
    """Return whether all of `folder` was made."""
    return (Path(folder) / COMPLETE).exists()


def complete(folder: Path, inputs: dict[str, Any], facts: dict[str, Any]) -> None:
    """Mark `folder` as complete, made from `inputs`; the mark also keeps `facts`."""
    write_json(Path(folder) / COMPLETE, {"inputs": inputs, **facts, "files": data_files(folder)})
    (Path(folder) / INPUTS).unlink(missing_ok=True)


def data_files(folder: Path) -> dict[str, str]:
    """Return {name: SHA-256} of the data files in `folder` and in the folders of its shards."""
    paths = sorted([*Path(folder).glob("*"), *Path(folder).glob("[0-9][0-9]/*")])
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in paths
        if DATA.fullmatch(path.name) and path.is_file()
    }


def begin(dest: Path, inputs: dict[str, Any]) -> None:
    """Write ``.inputs``, after removing the files that were made from other inputs."""
    if (dest / INPUTS).exists() and with_present_name(read_json(dest / INPUTS)) != inputs:
        print(f"{dest} is incomplete and was begun from other inputs: starting again", flush=True)
        for path in list(dest.iterdir()):
            if MADE.fullmatch(path.name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_json(dest / INPUTS, inputs)


def check_foreign(dest: Path, holds_lock: bool) -> None:
    """Refuse a folder with files that this program did not make.

    Without the lock, files in a folder that has a lock may be those of another process, which locks it first:
    they are checked again with the lock. A folder of others has none, and stays as it is.
    """
    refusal = foreign(dest)
    if refusal and (holds_lock or not (dest / LOCK).exists()):
        raise SystemExit(refusal)


def foreign(dest: Path) -> str | None:
    """Say what `dest` holds that this program did not make, and what to do; None if there is nothing."""
    if not dest.is_dir() or (dest / INPUTS).exists() or is_complete(dest):
        return None
    if (dest / "dict.txt").exists():
        return (
            f"error: {dest} holds a data-bin that this program did not make, and is left untouched: give "
            "another folder, or start the recipe with --stage 2"
        )
    names = [
        path.relative_to(dest).as_posix() for folder in (dest, dest / "text") for path in folder.glob("*")
    ]
    others = sorted(name for name in names if not BY_HAND.fullmatch(name))
    if not others:
        return None
    examples = ", ".join(others[:3]) + (", ..." if others[3:] else "")
    return f"error: {dest} holds other files ({examples}), and is left untouched: give a new or empty folder"


def check_same(dest: Path, inputs: dict[str, Any]) -> None:
    """Refuse a complete folder that was made from inputs other than `inputs`."""
    mark = read_json(dest / COMPLETE)
    made = with_present_name(mark.get("inputs", {"corpus": mark.get("corpus")}))
    if made.get("corpus") != inputs["corpus"]:
        raise SystemExit(f"error: {dest} holds the corpus {made.get('corpus')}: give another folder")
    different = [
        describe(name, made[name], asked)
        for name, asked in inputs.items()
        if name in made and made[name] != asked
    ]
    if different:
        raise SystemExit(
            f"error: {dest} was made {'; '.join(different)}: give another folder, or remove this one to make "
            "it again"
        )
    unknown = sorted(inputs.keys() - made.keys())
    if unknown:
        raise SystemExit(
            f"error: {dest} was made by an earlier version, which did not record {', '.join(unknown)}: give "
            "another folder, or remove this one to make it again"
        )


def check_unchanged(dest: Path) -> None:
    """Refuse a complete folder whose files are missing or have changed since it was made."""
    recorded, present = read_json(dest / COMPLETE).get("files", {}), data_files(dest)
    for name, digest in recorded.items():
        if present.get(name) != digest:
            what = "has changed since it was made" if name in present else "is missing"
            raise SystemExit(f"error: {dest / name} {what}: remove {dest} to make it again")


def with_present_name(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return `inputs` with the current name of the corpus."""
    corpus = inputs.get("corpus")
    return {**inputs, "corpus": RENAMED.get(corpus, corpus)}


def describe(name: str, made: Any, asked: Any) -> str:
    """Say how two values of one input differ."""
    if is_digest(made) and is_digest(asked):
        return f"from a different {name} text (SHA-256 {made[:12]}..., now {asked[:12]}...)"
    if made is None:
        return f"without --{name}"
    if asked is None:
        return f"with --{name}" + ("" if is_digest(made) else f" {made}")
    return f"with --{name} {made}, not {asked}"


def is_digest(value: Any) -> bool:
    """Return whether `value` is a SHA-256 in hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file `path`; refuse a damaged file."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise SystemExit(f"error: {path} is damaged: remove {path.parent} and run the same command again")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path`; whole or not at all."""
    with atomically(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")
